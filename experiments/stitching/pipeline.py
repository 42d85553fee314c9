"""The phases of the experiment, in order: parents, stitches, evolution, random search, report."""

import dataclasses
from typing import NamedTuple

import jax

from experiments.folder import RunFolder
from experiments.stitching.parents import parent
from experiments.stitching.presets import Settings
from jaxevo import checkpoint, evaluation, graph, search, stitching
from jaxevo.data import Dataset
from jaxevo.network import Network
from jaxevo.space import Space

OBJECTIVES = (evaluation.accuracy, -evaluation.multiply_adds)


class Outcome(NamedTuple):
    """What the phases before the report give.

    parents: the two trained networks.
    merged: the merged network, stitches fitted.
    fits: how well each stitch fits.
    space: its switches.
    evolved, random: what NSGA-II and random search found.
    counts: what evolution's evaluation reports of its work.
    """

    parents: tuple[Network, Network]
    merged: stitching.Merged
    fits: tuple[stitching.Fit, ...]
    space: Space
    evolved: search.Result
    random: search.Result
    counts: dict[str, int]


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
    keys = jax.random.split(jax.random.key(seed), 5)
    with folder.phase("parents"):
        parents = (
            parent(keys[0], settings.parents[0], dataset, settings.batch, folder.path / "parent-0"),
            parent(keys[1], settings.parents[1], dataset, settings.batch, folder.path / "parent-1"),
        )
    with folder.phase("stitches"):
        merged, fits = _stitches(keys[2], settings, parents, dataset, folder)
    space = stitching.switches(merged, probability=settings.probability)
    with folder.phase("evolution"):
        evaluate = evaluation.shared(space, dataset.valid, OBJECTIVES)
        evolved = search.run(
            keys[3], search.nsga2(space, settings.population), evaluate, settings.generations,
            checkpoint=folder.path / "evolution",
        )  # fmt: skip
        counts = evaluate.report()
    with folder.phase("random search"):
        # As many distinct networks as evolution scored, and no repetition: the best that chance can do for the price.
        total = counts["distinct_evaluations"]
        strategy = search.random_search(space, settings.population, total=total)
        random = search.run(
            keys[4], strategy, evaluation.shared(space, dataset.valid, OBJECTIVES), -(-total // settings.population),
            checkpoint=folder.path / "random",
        )  # fmt: skip
    return Outcome(parents, merged, fits, space, evolved, random, counts)


def _stitches(key, settings, parents, dataset, folder):
    graphs = tuple(graph.trace(network) for network in parents)
    matching = stitching.match(*graphs, most=settings.most, price=settings.price)
    merged = stitching.stitch(jax.random.fold_in(key, 0), *graphs, matching)
    path = folder.path / "stitches"
    if path.exists():
        params, metadata = checkpoint.read(path, merged.params)
        return dataclasses.replace(merged, params=params), tuple(stitching.Fit(*fit) for fit in metadata["fits"])
    merged, fits = stitching.fit(jax.random.fold_in(key, 1), merged, dataset.train)
    checkpoint.write(path, merged.params, {"fits": [list(fit) for fit in fits]})
    return merged, fits
