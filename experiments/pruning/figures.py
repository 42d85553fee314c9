"""Pictures of the pruning experiment: accuracy and robustness against the share of units that are active."""

import pathlib
from typing import Any

import numpy as np

from jaxevo import plots
from jaxevo.plots import Style
from jaxevo.plots.look import COLORS, FAINT, INK

STYLES = {
    "published front": Style(FAINT, size=4),
    "random search": Style(COLORS[1], size=4),
    "front": Style(COLORS[0]),
    "all units": Style(INK),
}


def draw_fronts(folder: pathlib.Path, sets: dict[str, list[dict[str, Any]]], published: np.ndarray | None) -> None:
    """Draws sets of heads on test, accuracy and AUROC against the active share.

    Args:
      folder: where the pictures go.
      sets: entries by name.
      published: a published front [n, 3], accuracy, active share and AUROC, or None.
    """
    for index, (name, label) in enumerate((("accuracy", "accuracy on test"), ("auroc", "AUROC on test"))):
        series = {} if published is None else {"published front": published[:, [1, 2 * index]]}
        for which, found in sets.items():
            series[which] = np.array([[entry["active_share"], entry["test"][name]] for entry in found]).reshape(-1, 2)
        axes = plots.front(plots.canvas(), series, "share of units that are active", label, styles=STYLES, percent=True)
        axes.figure.savefig(folder / f"{name}.png")
