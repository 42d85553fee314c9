"""The phases of the experiment, in order: parents, stitches, evolution, random search, report."""

import dataclasses
import pathlib
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
    keys = _keys(seed)
    with folder.phase("parents"):
        parents = trained(settings, dataset, seed, folder.path)
    with folder.phase("stitches"):
        merged, fits = stitched(settings, dataset, seed, parents, folder.path)
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


def trained(settings: Settings, dataset: Dataset, seed: int, path: pathlib.Path) -> tuple[Network, Network]:
    """Trains the two parents, or restores them from where a run keeps them.

    Args:
      settings, dataset, seed: as in `run`.
      path: folder of the run.

    Returns:
      Both parents.
    """
    first, second = (
        parent(key, which, dataset, settings.batch, path / f"parent-{index}")
        for index, (key, which) in enumerate(zip(_keys(seed)[:2], settings.parents, strict=True))
    )
    return first, second


def stitched(
    settings: Settings, dataset: Dataset, seed: int, parents: tuple[Network, Network], path: pathlib.Path
) -> tuple[stitching.Merged, tuple[stitching.Fit, ...]]:
    """Merges the parents and fits the stitches, or restores them from where a run keeps them.

    Args:
      settings, dataset, seed: as in `run`.
      parents: both parents.
      path: folder of the run.

    Returns:
      The merged network, and how well each stitch fits.
    """
    key, path = _keys(seed)[2], path / "stitches"
    graphs = tuple(graph.trace(network) for network in parents)
    matching = stitching.match(*graphs, most=settings.most, price=settings.price)
    merged = stitching.stitch(jax.random.fold_in(key, 0), matching, votes=settings.votes)
    if path.exists():
        params, metadata = checkpoint.read(path, merged.params)
        return dataclasses.replace(merged, params=params), tuple(stitching.Fit(*fit) for fit in metadata["fits"])
    merged, fits = stitching.fit(jax.random.fold_in(key, 1), merged, dataset.train)
    checkpoint.write(path, merged.params, {"fits": [list(fit) for fit in fits]})
    return merged, fits


def _keys(seed: int) -> jax.Array:
    """Keys of the parents, the stitches, evolution and random search."""
    return jax.random.split(jax.random.key(seed), 5)
