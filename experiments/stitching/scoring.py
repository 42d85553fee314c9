"""What networks of the experiment reach on valid and test, as entries of `result.json`."""

import functools
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.stitching.pipeline import Outcome, objectives, retraining_key
from experiments.stitching.presets import Settings
from experiments.stitching.retraining import retrained
from jaxevo import data, evaluation, search
from jaxevo.data import Dataset, Split
from jaxevo.network import Network

Entry = dict[str, Any]

#: Pictures at a time when latency is measured.
LATENCY_BATCH = 64


class Scorers(NamedTuple):
    """The evaluations on all of valid and on test, which remember what they have scored."""

    valid: evaluation.SharedEvaluation
    test: evaluation.SharedEvaluation


def scorers(settings: Settings, outcome: Outcome, dataset: Dataset) -> Scorers:
    """Makes the evaluations of a run's networks."""
    metrics = objectives(settings, dataset)
    score = functools.partial(evaluation.shared, outcome.space, metrics=metrics, accelerate=settings.accelerate)
    return Scorers(score(dataset.valid), score(dataset.test))


def entries(outcome: Outcome, score: Scorers, genomes: np.ndarray) -> list[Entry]:
    """Scores genomes on all of valid and on test.

    Args:
      outcome: what a run found.
      score: its evaluations.
      genomes: int [n, G].

    Returns:
      For each its name, genome, number of stitches, parents, qualities, multiply-adds and parameters.
    """
    scores = [evaluate(None, outcome.space.params, genomes)[1][:, 0] for evaluate in score]
    found = []
    for genome, valid, test in zip(genomes, *scores, strict=True):
        cost = outcome.space.cost(genome)
        used = [outcome.merged.graph.nodes[i].group for i in outcome.merged.graph.path(genome)]
        found.append(
            {
                "name": outcome.space.decode(outcome.space.params, genome).name,
                "genome": genome.tolist(),
                "stitches": used.count("stitch"),
                "parents": [parent.name for parent in outcome.parents if parent.name in used],
                "valid": round(float(valid), 6),
                "test": round(float(test), 6),
                "macs": int(cost.multiply_adds),
                "parameters": int(cost.parameters),
            }
        )
    return found


def best_of_all_parents(outcome: Outcome, score: Scorers) -> Entry | None:
    """Scores the best offspring, by what the search saw, that runs layers of every parent one after the other, unvoted.

    Args:
      outcome, score: as in `entries`.

    Returns:
      Its entry, None where the search scored no such offspring.
    """
    graph, names = outcome.merged.graph, {parent.name for parent in outcome.parents}
    scored = next(iter(outcome.searches.values())).scored
    for index in np.argsort(-scored.fitness[:, 0], kind="stable"):
        genome = np.asarray(scored.genomes[index])
        if genome[-1] < len(names) and names <= {graph.nodes[i].group for i in graph.path(genome)}:
            return entries(outcome, score, genome[None])[0]
    return None


def with_latency(outcome: Outcome, dataset: Dataset, found: list[Entry]) -> list[Entry]:
    """Adds to each entry the milliseconds that its network takes for `LATENCY_BATCH` pictures."""
    inputs = dataset.test.inputs[:LATENCY_BATCH]
    networks = [outcome.space.decode(outcome.space.params, np.asarray(entry["genome"], np.int32)) for entry in found]
    return [
        {**entry, "latency_ms": round(evaluation.latency_ms(network, inputs), 3)}
        for entry, network in zip(found, networks, strict=True)
    ]


def front_of(outcome: Outcome, score: Scorers, scored: search.Scored) -> list[Entry]:
    """Scores the front of all that a search scored on all of valid, as published, and keeps what is a front there.

    All searches are treated alike: some keep an archive, others only a population that a front can outgrow.

    Args:
      outcome, score: as in `entries`.
      scored: what the search scored, which may have seen a part of valid only.

    Returns:
      The entries, cheapest first; one for each point.
    """
    best = search.pareto.front(scored.fitness)
    _, first = np.unique(scored.fitness[best], axis=0, return_index=True)
    found = entries(outcome, score, np.asarray(scored.genomes)[best[np.sort(first)]])
    points = np.array([[entry["valid"], -entry["macs"]] for entry in found])
    kept = {tuple(points[i]): found[i] for i in np.flatnonzero(search.ranks(points) == 0)}
    return sorted(kept.values(), key=lambda entry: entry["macs"])


def with_retraining(
    settings: Settings, outcome: Outcome, dataset: Dataset, seed: int, path: pathlib.Path, found: list[Entry]
) -> list[Entry]:
    """Trains the networks of entries on, and returns entries of what they reach then."""
    again = []
    assert settings.retraining is not None
    quality, _ = objectives(settings, dataset)
    for entry in found:
        genome = np.asarray(entry["genome"], np.int32)
        network = outcome.space.decode(outcome.space.params, genome)
        name = "-".join(map(str, entry["genome"]))
        network = retrained(retraining_key(seed), network, settings.retraining, dataset, path / name)
        scores = {which: _score(network, getattr(dataset, which), quality) for which in ("valid", "test")}
        again.append({**entry, **scores})
        print(f"  {entry['name']}: {entry['valid']:.3f} to {scores['valid']:.3f} on valid", flush=True)
    return again


def _score(network: Network, split: Split, metric: evaluation.Metric) -> float:
    assert metric.init is not None
    assert metric.finish is not None
    state, broken = metric.init(), jnp.asarray(False)

    @jax.jit
    def update(params, state, broken, batch):
        assert metric.update is not None
        outputs = network.apply(params, batch.inputs)
        finite = jnp.isfinite(outputs).reshape(len(batch.mask), -1).all(axis=1)
        return metric.update(state, outputs, batch.labels, batch.mask), broken | (~finite & batch.mask).any()

    for batch in data.batches(split, min(256, len(split))):
        state, broken = update(network.params, state, broken, batch)
    # A network that diverged while it was retrained has no accuracy: the largest of NaN would be class 0.
    return float("nan") if broken else round(float(metric.finish(state)), 6)
