"""Pictures of the transfer experiment: learning curves with bands, and similarity against gain."""

import pathlib
from typing import Any

import numpy as np

from experiments.transfer.methods import OURS, RANDOM
from experiments.transfer.pipeline import Outcome
from jaxevo.plots.look import COLORS, FAINT, INK, canvas


def draw_curves(path: pathlib.Path, pairs: tuple[tuple[str, str], ...], outcome: Outcome) -> None:
    """Draws accuracy on valid by epoch for each pair and method, with a band from the worst to the best repeat."""
    columns = min(4, len(pairs))
    rows = -(-len(pairs) // columns)
    figure = canvas(3.0 * columns, 2.4 * rows).figure
    figure.clear()
    for place, pair in enumerate(pairs):
        axes = figure.add_subplot(rows, columns, place + 1)
        curves = {RANDOM: outcome.beginnings[pair[1]], **outcome.curves[pair]}
        for index, (method, found) in enumerate(curves.items()):
            color = {RANDOM: INK, OURS: COLORS[0]}.get(method, COLORS[(index - 1) % len(COLORS)])
            valid = np.array([curve.valid for curve in found])
            epochs = np.arange(1, valid.shape[1] + 1)
            axes.plot(epochs, valid.mean(axis=0), color=color, label=method, linewidth=2 if method == OURS else 1.2)
            axes.fill_between(epochs, valid.min(axis=0), valid.max(axis=0), color=color, alpha=0.15, linewidth=0)
        axes.set_title(f"{pair[0]} → {pair[1]}", fontsize=9)
        axes.set_xticks(epochs)
        axes.yaxis.set_major_formatter("{x:.0%}")
        if len(curves) == max(len(found) + 1 for found in outcome.curves.values()) and not figure.legends:
            figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.supxlabel("epoch")
    figure.supylabel("accuracy on valid")
    figure.savefig(path)


def draw_gains(path: pathlib.Path, pairs: list[dict[str, Any]], horizons: list[int]) -> None:
    """Draws the gain on valid against similarity, with intervals, after each number of epochs."""
    axes = canvas()
    axes.axhline(1.0, color=FAINT, linewidth=1.0)
    for color, horizon in zip(COLORS, horizons, strict=False):
        gains = [pair["gains"][OURS]["valid"][str(horizon)] for pair in pairs]
        values = np.array([one["value"] for one in gains])
        reach = np.abs(np.array([[one["low"], one["high"]] for one in gains]).T - values)
        label = f"{horizon} epoch{'s' if horizon > 1 else ''}"
        similarity = [pair["similarity"] for pair in pairs]
        axes.errorbar(similarity, values, reach, fmt="o", color=color, capsize=2, label=label)
    axes.set_yscale("log")
    axes.set_xlabel("similarity of teacher and student")
    axes.set_ylabel("accuracy with transfer / from a random beginning")
    axes.legend(frameon=False)
    axes.figure.savefig(path)
