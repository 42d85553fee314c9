"""Pictures of a run: samples, distances of a population step by step, and its family tree."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from jaxevo import pbt, plots
from jaxevo.plots.look import COLORS, FAINT


def draw_samples(path: pathlib.Path, pictures: np.ndarray, columns: int = 10) -> None:
    """Draws pictures side by side.

    Args:
      path: where the picture goes.
      pictures: [N, height, width, 1 or 3] in [-1, 1].
      columns: in a row.
    """
    rows = -(-len(pictures) // columns)
    height, width, channels = pictures.shape[1:]
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, channels), 1.0)
    for index, picture in enumerate(pictures):
        top, left = index // columns * (height + 1), index % columns * (width + 1)
        sheet[top : top + height, left : left + width] = (picture + 1) / 2
    axes = plots.canvas(columns * 0.6, rows * 0.6)
    axes.imshow(sheet.squeeze(-1) if channels == 1 else sheet, cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()
    axes.figure.savefig(path)


def draw_curves(path: pathlib.Path, best: Mapping[str, Sequence[float]], members: Sequence[pbt.Descent]) -> None:
    """Draws distances on valid, step by step.

    Args:
      path: where the picture goes.
      best: of each method, that of the best member.
      members: of the first method, all of them, drawn faintly.
    """
    axes = plots.canvas()
    for member in members:
        steps = range(member.born, member.died + 1)
        values = [np.nan if score is None else -score for score in member.scores]
        axes.plot(steps, values, color=FAINT, linewidth=1, marker=".", zorder=1)
    for index, (name, values) in enumerate(best.items()):
        axes.plot(range(1, len(values) + 1), values, color=COLORS[index % len(COLORS)], label=name, zorder=2)
    axes.set(xlabel="step", ylabel="Fréchet distance on valid, best member", yscale="log")
    axes.legend(frameon=False)
    axes.figure.savefig(path)


def draw_lineage(path: pathlib.Path, members: Sequence[pbt.Descent]) -> None:
    """Draws who was replaced by a mixture of whom."""
    axes = plots.lineage(plots.canvas(9, 5), members)
    axes.figure.savefig(path)
