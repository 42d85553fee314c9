"""What the front agrees on: its most frequent units, and where in pictures they look."""

import pathlib
from typing import Any

import jax
import numpy as np

from experiments.pruning.pipeline import Outcome
from experiments.pruning.presets import Settings
from experiments.pruning.starting import Task
from jaxevo import plots, pruning, trace
from jaxevo.graph import Cut
from jaxevo.network import Network

#: Units and pictures that are drawn, of so many pictures those that a unit responds to most.
UNITS, PICTURES, EXAMPLES = 4, 6, 96


def explain(settings: Settings, task: Task, outcome: Outcome, folder: pathlib.Path) -> dict[str, Any]:
    """Counts how many members of the front keep each unit, and draws where the most frequent ones look.

    Units of the head are explained in the member that is most accurate on valid, as it was trained, before compaction.

    Args:
      settings: of the run.
      task: whose test pictures are looked at; nothing is chosen on them.
      outcome: what the run found.
      folder: where `units.png` goes.

    Returns:
      The units and their frequencies, for `result.json`.
    """
    front = outcome.searches["nsga2"].front
    frequency = pruning.frequency(np.asarray(front.genomes.genome))
    units = np.argsort(-frequency, kind="stable")[:UNITS]
    best = jax.tree.map(lambda leaf: leaf[int(np.argmax(np.asarray(front.fitness)[:, 0]))], front.genomes)
    head = pruning.head(outcome.space.inputs.shape[0], task.known.classes, settings.hidden)
    whole = pruning.join(outcome.backbone, head.network(best.params, best.state))
    at, of = _places(whole, settings)
    if at is not None:
        pictures = task.known.test.inputs[:EXAMPLES]
        _draw(folder / "units.png", pictures, pruning.grad_cam(whole, pictures, at, units.tolist(), of=of), units)
    return {"units": units.tolist(), "frequency": frequency[units].tolist()}


def _places(whole: Network, settings: Settings) -> tuple[Cut | None, Cut]:
    """Returns the last map of features, None where there is none, and the layer whose units have the first bits."""
    cuts = trace(whole).cuts
    behind = next(i for i, cut in enumerate(cuts) if cut.name.startswith("rest"))
    maps = [cut for cut in cuts[:behind] if cut.feature.kind == "map" and min(cut.feature.space) > 1]
    return (maps[-1] if maps else None), cuts[behind if settings.prune == "hidden" else behind - 1]


def _draw(path: pathlib.Path, pictures: np.ndarray, maps: np.ndarray, units: np.ndarray) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 * PICTURES, 1.7 * len(units)), dpi=120, layout="constrained")
    grid = figure.subplots(len(units), PICTURES, squeeze=False)
    for row, unit, found in zip(grid, units, maps, strict=True):
        strongest = np.argsort(-found.sum((1, 2)), kind="stable")[:PICTURES]
        for column, (axes, index) in enumerate(zip(row, strongest, strict=False)):
            plots.overlay(axes, pictures[index], found[index], f"unit {unit}" if column == 0 else "")
    figure.savefig(path)
