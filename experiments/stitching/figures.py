"""Pictures of the stitching experiment: the front, the merged network and an offspring's way through it."""

import pathlib
from typing import Any

import numpy as np

from jaxevo import plots, stitching


def draw_fronts(path: pathlib.Path, label: str, sets: dict[str, list[dict[str, Any]]]) -> None:
    """Draws sets of networks, multiply-adds against what they reach on test; parents with their names."""
    series = {
        name: np.array([[entry["macs"], entry["test"]] for entry in entries]).reshape(-1, 2)
        for name, entries in sets.items()
    }
    names = {"parents": [entry["name"].split("[")[0] for entry in sets["parents"]]}
    axes = plots.front(plots.canvas(), series, "multiply-adds", label, names=names, percent=True)
    axes.figure.savefig(path)


def draw_networks(path: pathlib.Path, merged: stitching.Merged, best: dict[str, Any] | None) -> None:
    """Draws the merged network, and in it the best offspring where there is one."""
    axes = stitching.draw(merged, None if best is None else np.asarray(best["genome"]))
    axes.set_title("merged network" if best is None else f"{best['name']}: {best['test']:.1%} on test", fontsize=10)
    axes.figure.savefig(path)
