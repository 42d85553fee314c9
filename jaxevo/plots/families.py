"""Family trees of populations that learn while children replace their worst."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxevo.plots.look import COLORS, FAINT, INK, Axes, check_axes


def lineage(axes: Axes, members: Sequence[Any]) -> Axes:
    """Draws a population over its generations: a line for each member, arrows from parents to the child they made.

    Every place of the population is a row. A member's line is the darker the better it scored among its generation;
    where it ends a child begins, with a full arrow from the parent that was copied and a dashed one, with the number
    of layers that were taken over, from the other. A cross says that a member diverged.

    Args:
      axes: where to draw.
      members: as `pbt.lineage` gives them.

    Returns:
      The Axes.

    Raises:
      ValueError: where there are no members.
    """
    check_axes("lineage", axes)
    if not isinstance(members, Sequence) or not all(hasattr(one, "scores") for one in members):
        raise TypeError(f"lineage: members is {members!r}, expected what jaxevo.pbt.lineage returns")
    if not members:
        raise ValueError("lineage: members is empty, expected those of a run; see jaxevo.pbt.lineage")
    rows, by_number = _rows(members), {member.number: member for member in members}
    best = _best_of_generations(members)
    for member in members:
        row = rows[member.number]
        for place, score in enumerate(member.scores):
            generation = member.born + place
            shade = 0.15 if score is None else 0.15 + 0.85 * best[generation][member.number]
            axes.plot(
                [generation - 0.5, generation + 0.5], [row, row], color=COLORS[0], alpha=shade, linewidth=4,
                solid_capstyle="butt",
            )  # fmt: skip
        axes.text(member.born - 0.45, row + 0.16, str(member.number), fontsize=6, color=INK)
        if member.scores and member.scores[-1] is None:
            axes.plot([member.died + 0.5], [row], marker="x", color=COLORS[1])
        for parent, style, text in ((member.better, "-", ""), (member.other, "--", str(len(member.taken)))):
            if parent is None or (parent == member.better and style == "--"):
                continue
            assert parent in by_number
            start, end = (member.born - 0.75, rows[parent]), (member.born - 0.5, row)
            axes.annotate(
                "", end, start, arrowprops={"arrowstyle": "->", "color": INK, "linewidth": 0.8, "linestyle": style}
            )
            if text:
                axes.text((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, text, fontsize=6, color=COLORS[1])
    axes.set(xlabel="generation", ylabel="place in the population")
    axes.set_yticks(sorted(set(rows.values())))
    axes.set_xticks(range(min(best, default=1), max(best, default=1) + 1))
    axes.tick_params(colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    return axes


def _rows(members: Sequence[Any]) -> dict[int, int]:
    """Returns the row of each member: its own number, or that of the one whose place it took."""
    rows: dict[int, int] = {}
    for member in members:
        rows[member.number] = member.number if member.replaced is None else rows[member.replaced]
    return rows


def _best_of_generations(members: Sequence[Any]) -> dict[int, dict[int, float]]:
    """Returns by generation where each member stands, from 0 for the worst to 1 for the best."""
    scored: dict[int, dict[int, float]] = {}
    for member in members:
        for place, score in enumerate(member.scores):
            if score is not None:
                scored.setdefault(member.born + place, {})[member.number] = score
    found = {}
    for generation, scores in scored.items():
        order = np.argsort(np.argsort(list(scores.values()), kind="stable"), kind="stable")
        found[generation] = dict(zip(scores, (order / max(len(scores) - 1, 1)).tolist(), strict=True))
    return found
