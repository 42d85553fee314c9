"""Pictures of the subspace experiment: the window, one generation, several."""

import pathlib
from typing import Any

from jaxevo import plots
from jaxevo.plots.look import COLORS, INK


def draw_window(path: pathlib.Path, window: dict[str, Any]) -> None:
    """Draws accuracy against sigma for each partition, with a band over children and where one point is lost."""
    axes = plots.canvas()
    for color, curve in zip(COLORS, window["curves"], strict=False):
        name = "dense" if curve["subspaces"] == 1 else f"{curve['subspaces']} subspaces"
        axes.plot(curve["sigmas"], curve["mean"], color=color, label=name)
        axes.fill_between(curve["sigmas"], curve["low"], curve["high"], color=color, alpha=0.15, linewidth=0)
        if curve["critical_sigma"] is not None:
            axes.plot(curve["critical_sigma"], curve["parent"] - window["allowed_loss"], "o", color=color)
    parent = window["curves"][0]["parent"]
    axes.axhline(parent, color=INK, linewidth=0.8, label="parent")
    axes.axhline(parent - window["allowed_loss"], color=INK, linewidth=0.8, linestyle="--", label="one point lost")
    _finish(axes, "sigma", "accuracy on valid", path)


def draw_generation(path: pathlib.Path, generations: dict[str, Any], parent: float) -> None:
    """Draws NLL on valid against sigma: the greedy ensemble of either kind, and the best child."""
    axes = plots.canvas()
    for color, (kind, found) in zip(COLORS, generations.items(), strict=False):
        sigmas = [row["sigma"] for row in found["grid"]]
        axes.plot(sigmas, [row["greedy_nll"] for row in found["grid"]], "o-", color=color, label=f"{kind}: greedy")
        best = [row["best_nll"] for row in found["grid"]]
        axes.plot(sigmas, best, "o:", color=color, label=f"{kind}: best child")
    axes.axhline(parent, color=INK, linewidth=0.8, label="parent")
    # Children that the noise destroyed would flatten everything else.
    axes.set_ylim(top=min(axes.get_ylim()[1], 1.5 * parent))
    _finish(axes, "sigma", "NLL on valid", path)


def draw_evolution(path: pathlib.Path, evolution: dict[str, Any]) -> None:
    """Draws the best NLL on the examples of the search by generation."""
    axes = plots.canvas()
    for color, (kind, found) in zip(COLORS, evolution.items(), strict=False):
        axes.plot(range(1, len(found["nll"]) + 1), found["nll"], "o-", color=color, label=kind)
    axes.axhline(evolution["sparse"]["parent_nll"], color=INK, linewidth=0.8, label="parent")
    _finish(axes, "generation", "least NLL of a child", path, logarithmic=False)


def _finish(axes: Any, x_label: str, y_label: str, path: pathlib.Path, logarithmic: bool = True) -> None:
    if logarithmic:
        axes.set_xscale("log")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.legend(frameon=False, fontsize=8.5)
    axes.figure.savefig(path)
