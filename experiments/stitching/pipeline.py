"""The phases of the experiment before the report, in order: parents, stitches, and the searches."""

import dataclasses
import functools
import pathlib
from typing import NamedTuple

import jax
import numpy as np
import optax

from experiments.folder import RunFolder
from experiments.parents import LOSS, augmentation, parent, rows_of
from experiments.probing import probed
from experiments.stitching.presets import Pretrained, Search, Settings
from jaxevo import checkpoint, evaluation, graph, search, stitching
from jaxevo.data import Dataset, Split
from jaxevo.evaluation import Metric
from jaxevo.network import Network
from jaxevo.space import Space

#: The worst quality that counts in a hypervolume is so far below that of the weakest parent.
MARGIN = 0.1


class Searched(NamedTuple):
    """What a search found.

    result: as `search.run` returns it.
    counts: what its evaluation reports of its work.
    scored: every distinct network that it scored.
    """

    result: search.Result
    counts: dict[str, int]
    scored: search.Scored


class Outcome(NamedTuple):
    """What the phases before the report give.

    parents: the trained networks.
    merged: the merged network, stitches fitted.
    fits: how well each stitch fits in closed form.
    space: its switches.
    searches: what each search found by its name; the front comes from the first, the last is random search.
    """

    parents: tuple[Network, ...]
    merged: stitching.Merged
    fits: tuple[stitching.Fit, ...]
    space: Space
    searches: dict[str, Searched]


def run(settings: Settings, dataset: Dataset, seed: int, folder: RunFolder) -> Outcome:
    """Runs everything but the report, continuing whatever the folder holds.

    Args:
      settings: of the run.
      dataset: parents and stitches are fitted on train, genomes are scored on valid; test is not touched.
      seed: of everything.
      folder: where checkpoints lie.

    Returns:
      The outcome.
    """
    with folder.phase("parents"):
        parents = trained(settings, dataset, seed, folder.path)
    with folder.phase("stitches"):
        merged, fits = stitched(settings, dataset, seed, parents, folder.path)
    space = stitching.switches(merged, probability=settings.probability)
    seen = _seen(settings, dataset, seed)
    metrics = objectives(settings, dataset)
    found: dict[str, Searched] = {}
    for index, one in enumerate((settings.search, *settings.rivals, None)):
        name = "random search" if one is None else one.strategy
        with folder.phase(name):
            key = jax.random.fold_in(_keys(seed)["search"], index)
            first = next(iter(found.values())).counts["distinct_evaluations"] if found else None
            evaluate = evaluation.shared(space, seen, metrics, accelerate=settings.accelerate)
            strategy = _strategy(settings, merged, space, one, seen, metrics, first)
            found[name] = _searched(key, settings, strategy, evaluate, first, folder.path / name.replace(" ", "-"))
    return Outcome(parents, merged, fits, space, found)


def objectives(settings: Settings, dataset: Dataset) -> tuple[Metric, Metric]:
    """Returns what a network is searched by: how good it is, and how few multiply-adds it needs."""
    quality = evaluation.accuracy if settings.objective == "accuracy" else evaluation.mean_iou(len(dataset.classes))
    return quality, -evaluation.multiply_adds


def trained(settings: Settings, dataset: Dataset, seed: int, path: pathlib.Path) -> tuple[Network, ...]:
    """Trains the parents, or takes them in trained, or restores them from where a run keeps them.

    Args:
      settings, dataset, seed: as in `run`.
      path: folder of the run.

    Returns:
      The parents.
    """
    key = _keys(seed)["parents"]
    return tuple(
        probed(which, dataset, path / f"parent-{index}")
        if isinstance(which, Pretrained)
        else parent(jax.random.fold_in(key, index), which, dataset, settings.batch, path / f"parent-{index}")
        for index, which in enumerate(settings.parents)
    )


def stitched(
    settings: Settings, dataset: Dataset, seed: int, parents: tuple[Network, ...], path: pathlib.Path
) -> tuple[stitching.Merged, tuple[stitching.Fit, ...]]:
    """Merges the parents and fits the stitches, or restores them from where a run keeps them.

    Args:
      settings, dataset, seed: as in `run`.
      parents: the parents.
      path: folder of the run.

    Returns:
      The merged network, and how well each stitch fits in closed form.
    """
    keys, path = jax.random.split(_keys(seed)["stitches"], 3), path / "stitches"
    graphs = tuple(graph.trace(network) for network in parents)
    matching = stitching.match(*graphs, most=settings.most, price=settings.price, across=settings.across)
    merged = stitching.stitch(keys[0], matching, votes=settings.votes)
    if path.exists():
        params, metadata = checkpoint.read(path, merged.params)
        return dataclasses.replace(merged, params=params), tuple(stitching.Fit(*fit) for fit in metadata["fits"])
    merged, fits = stitching.fit(keys[1], merged, dataset.train)
    if settings.tuning is not None:
        merged = _tuned(keys[2], settings, merged, dataset)
    checkpoint.write(path, merged.params, {"fits": [list(fit) for fit in fits]})
    return merged, fits


def _tuned(key: jax.Array, settings: Settings, merged: stitching.Merged, dataset: Dataset) -> stitching.Merged:
    tuning = settings.tuning
    assert tuning is not None
    steps = tuning.epochs * -(-len(dataset.train) // settings.batch)
    space = stitching.switches(merged, probability=tuning.probability)
    if settings.accelerate:
        space = dataclasses.replace(space, apply=graph.accelerated(space.apply))
    tuned, _ = stitching.tune(
        key,
        merged,
        dataset.train,
        stitching.offspring_loss(space, LOSS),
        optimizer=optax.adam(optax.cosine_decay_schedule(tuning.rate, steps)),
        epochs=tuning.epochs,
        batch=settings.batch,
        augment=augmentation(dataset),
        callback=lambda epoch, _, found: print(f"  stitches epoch {epoch + 1}: loss {found['loss']:.3f}", flush=True),
    )
    return tuned


def _seen(settings: Settings, dataset: Dataset, seed: int) -> Split:
    """Returns the examples of valid that the searches see."""
    if settings.fitness_examples is None or settings.fitness_examples >= len(dataset.valid):
        return dataset.valid
    order = np.asarray(jax.random.permutation(_keys(seed)["examples"], len(dataset.valid)))
    return rows_of(dataset.valid, np.sort(order[: settings.fitness_examples]))


def _strategy(
    settings: Settings,
    merged: stitching.Merged,
    space: Space,
    one: Search | None,
    seen: Split,
    metrics: tuple[Metric, Metric],
    first: int | None,
) -> search.Strategy:
    """Makes a strategy; None is random search, for as many distinct networks as the first search scored."""
    if one is None:
        # No repetition: the best that chance can do for the price.
        return search.random_search(space, settings.search.population, total=first)
    if one.strategy == "surrogate":
        unstitched = stitching.unstitched(merged)
        # The worst point of the hypervolume that is reported, on what the search sees; a run with a budget wants an
        # evaluation that has scored nothing yet, so that this needs its own.
        score = evaluation.shared(space, seen, metrics, accelerate=settings.accelerate)
        _, parents = score(None, space.params, unstitched[: len(merged.parents)])
        return search.surrogate(
            space,
            one.population,
            known={1: lambda genome: -space.cost(genome).multiply_adds},
            reference=[float(parents[:, 0].min()) - MARGIN, float(parents[:, 1].sum())],
            start=np.concatenate([unstitched, stitching.single_stitches(merged)]),
        )
    makers = {
        "nsga2": search.nsga2,
        "gomea tree": functools.partial(search.gomea, linkage="tree"),
        "gomea kernels": functools.partial(search.gomea, linkage="kernels"),
    }
    return makers[one.strategy](space, one.population)


def _searched(key, settings: Settings, strategy: search.Strategy, evaluate, first: int | None, path) -> Searched:
    """Runs one search; all but the first get as many distinct networks as the first one scored."""
    # A rival may need more generations for as many distinct networks: its batches hold fewer new ones.
    generations = settings.generations if first is None else 100 * settings.generations
    budget = settings.budget if first is None else first
    return _found(search.run(key, strategy, evaluate, generations, budget=budget, checkpoint=path), evaluate)


def _found(result: search.Result, evaluate: evaluation.SharedEvaluation) -> Searched:
    memory = evaluate.memory
    return Searched(result, evaluate.report(), search.Scored(memory["genomes"], memory["fitness"]))


def _keys(seed: int) -> dict[str, jax.Array]:
    """Returns the keys of everything that is drawn."""
    names = ("parents", "stitches", "search", "examples", "retraining")
    return dict(zip(names, jax.random.split(jax.random.key(seed), len(names)), strict=True))


def retraining_key(seed: int) -> jax.Array:
    """Returns the key of retraining."""
    return _keys(seed)["retraining"]
