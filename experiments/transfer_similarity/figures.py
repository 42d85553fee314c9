"""Gain against measures of architectures."""

import pathlib

import numpy as np

from experiments.transfer_similarity.statistics import Pairs, spearman
from jaxevo.plots.look import COLORS, FAINT, PAPER, canvas


def draw_scatter(path: pathlib.Path, pairs: Pairs, measures: dict[str, np.ndarray]) -> None:
    """Draws the gain of each pair against each measure, students in colours; the line at 1 parts gain from harm.

    Args:
      path: of the picture.
      pairs: the pairs.
      measures: by name, a number for each pair.
    """
    figure = canvas(4.2 * len(measures), 4.2).figure
    figure.clear()
    students = list(dict.fromkeys(pairs.students))
    names = np.array(pairs.students)
    for place, (name, values) in enumerate(measures.items()):
        axes = figure.add_subplot(1, len(measures), place + 1)
        axes.axhline(1.0, color=FAINT, linewidth=1.0)
        for index, student in enumerate(students):
            rows = names == student
            marker = "os^Dv"[index // len(COLORS) % 5]
            color = COLORS[index % len(COLORS)]
            axes.plot(values[rows], pairs.gain[rows], marker, color=color, markeredgecolor=PAPER, label=student)
        axes.set_yscale("log")
        axes.set_xlabel(f"{name} (Spearman {spearman(values, pairs.gain):.2f})")
        axes.set_ylabel("accuracy with transfer / without" if place == 0 else "")
    figure.axes[0].legend(frameon=False, fontsize=7, title="student")
    figure.savefig(path)
