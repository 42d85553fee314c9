"""Networks as layered graphs: boxes in columns, data flowing downwards, stitches crossing between columns."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

from jaxevo.plots.look import COLORS, FAINT, INK, STITCH, Axes, canvas, check_axes

#: Inches for one row and one column of `layers`.
ROW, COLUMN = 0.36, 3.1
_BOX_WIDTH, _BOX_HEIGHT = 0.66, 0.62


@dataclasses.dataclass(frozen=True)
class PlotNode:
    """A box of `layers`.

    name: what stands in it; unique.
    group: nodes of one group have one colour.
    column, row: where it stands, columns from the left, rows from the top; need not be whole.
    used: grey where false.
    cost: a short text at its right edge, such as "1.2 M".
    """

    name: str
    group: str
    column: float
    row: float
    used: bool = True
    cost: str = ""


@dataclasses.dataclass(frozen=True)
class PlotEdge:
    """An arrow of `layers`.

    source, target: names of nodes.
    kind: "flow" in the colour of its source, "stitch" in a colour of its own.
    used: thin and grey where false.
    """

    source: str
    target: str
    kind: Literal["flow", "stitch"] = "flow"
    used: bool = True


def canvas_for(nodes: Sequence[PlotNode]) -> Axes:
    """Returns the Axes of a new figure in which `layers` has room for these nodes."""
    columns, rows = _span(nodes, "column"), _span(nodes, "row")
    return canvas(COLUMN * (columns + 1), ROW * (rows + 3))


def layers(
    axes: Axes,
    nodes: Sequence[PlotNode],
    edges: Sequence[PlotEdge],
    *,
    titles: Mapping[float, str] | None = None,
    colors: Mapping[str, str] | None = None,
) -> Axes:
    """Draws a layered graph: boxes in columns, data flowing downwards, stitches crossing between columns.

    Args:
      axes: where to draw; `canvas_for(nodes)` has the right size.
      nodes: the boxes.
      edges: the arrows between them.
      titles: for some columns a text above.
      colors: for some groups a colour; the others take one each.

    Returns:
      The Axes.

    Raises:
      ValueError: where two nodes share a name or an edge names no node.
    """
    check_axes("layers", axes)
    for name, things, kind in (("nodes", nodes, PlotNode), ("edges", edges, PlotEdge)):
        if not isinstance(things, Sequence) or not all(isinstance(one, kind) for one in things):
            raise TypeError(f"layers: {name} is {things!r}, expected a list of {kind.__name__}s")
    boxes = {node.name: node for node in nodes}
    if not nodes or len(boxes) < len(nodes):
        raise ValueError(f"layers: {len(nodes)} nodes have {len(boxes)} names, expected at least one and each unique")
    missing = sorted({end for edge in edges for end in (edge.source, edge.target)} - boxes.keys())
    if missing:
        raise ValueError(f"layers: edges name {missing}, expected names of nodes")
    groups = dict.fromkeys(node.group for node in nodes)
    palette = {group: COLORS[index % len(COLORS)] for index, group in enumerate(groups)} | dict(colors or {})
    columns, rows = [node.column for node in nodes], [node.row for node in nodes]
    middle = (min(columns) + max(columns)) / 2
    # What is used lies on top of what is not.
    for edge in sorted(edges, key=lambda edge: edge.used):
        source = boxes[edge.source]
        outwards = -1 if source.column <= middle else 1
        _draw_edge(axes, source, boxes[edge.target], edge, palette[source.group], outwards)
    for node in nodes:
        _draw_box(axes, node, palette[node.group])
    for column, title in (titles or {}).items():
        axes.text(column, min(rows) - 1.0, title, ha="center", va="center", fontsize=11, weight="bold", color=INK)
    axes.set_xlim(min(columns) - 0.5, max(columns) + 0.5)
    axes.set_ylim(max(rows) + 0.8, min(rows) - (1.6 if titles else 0.8))
    axes.set_axis_off()
    return axes


def _draw_box(axes: Axes, node: PlotNode, color: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    face, edge, ink = (_tint(color), color, INK) if node.used else ("#F4F5F6", FAINT, "#9AA1A9")
    corner = (node.column - _BOX_WIDTH / 2, node.row - _BOX_HEIGHT / 2)
    # Rounding is in units of columns; the aspect turns it into the same length down the rows.
    box = FancyBboxPatch(
        corner,
        _BOX_WIDTH,
        _BOX_HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.02",
        mutation_aspect=COLUMN / ROW,
        facecolor=face,
        edgecolor=edge,
        linewidth=1.3 if node.used else 0.8,
        zorder=4,
    )
    axes.add_patch(box)
    text = {"va": "center", "zorder": 5, "color": ink}
    width = 30 - len(node.cost)
    name = node.name if len(node.name) <= width else f"{node.name[: width - 1]}…"
    if node.cost:
        axes.text(corner[0] + 0.025, node.row, name, ha="left", fontsize=8, **text)
        axes.text(corner[0] + _BOX_WIDTH - 0.025, node.row, node.cost, ha="right", fontsize=7, **text)
    else:
        axes.text(node.column, node.row, name, ha="center", fontsize=8, **text)


def _draw_edge(axes: Axes, source: PlotNode, target: PlotNode, edge: PlotEdge, color: str, outwards: int) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    stitched = edge.kind == "stitch"
    color = (STITCH if stitched else color) if edge.used else FAINT
    points = _route(source, target, outwards)
    codes = [Path.MOVETO, Path.LINETO] if len(points) == 2 else [Path.MOVETO] + [Path.CURVE4] * 3
    arrow = FancyArrowPatch(
        path=Path(points, codes),
        arrowstyle="-|>",
        mutation_scale=9 if edge.used else 6,
        color=color,
        linewidth=(2.2 if stitched else 1.6) if edge.used else 0.7,
        linestyle="-" if edge.used or not stitched else (0, (3, 2)),
        zorder=(3.5 if stitched else 3) if edge.used else 2,
    )
    axes.add_patch(arrow)


def _route(source: PlotNode, target: PlotNode, outwards: int) -> list[tuple[float, float]]:
    """Returns the points of an arrow: two of a line or four of a Bezier curve; skips bow to the left or right."""
    across, down = target.column - source.column, target.row - source.row
    half_width, half_height = _BOX_WIDTH / 2, _BOX_HEIGHT / 2
    if abs(across) < _BOX_WIDTH and 0 < down <= 1.5:
        return [(source.column, source.row + half_height), (target.column, target.row - half_height)]
    if abs(across) < _BOX_WIDTH:
        # A skip bows out, the further the longer it is, so that nested skips stay apart.
        side = source.column + outwards * half_width
        bow = side + outwards * min(0.06 + 0.02 * abs(down), 0.15)
        return [(side, source.row + 0.1), (bow, source.row + 0.1), (bow, target.row - 0.1), (side, target.row - 0.1)]
    sign = 1 if across > 0 else -1
    start, end = source.column + sign * half_width, target.column - sign * half_width
    middle = (start + end) / 2
    # Leave low and arrive high: the two stitches of a pair do not run into each other.
    return [
        (start, source.row + 0.12),
        (middle, source.row + 0.12),
        (middle, target.row - 0.12),
        (end, target.row - 0.12),
    ]


def _span(nodes: Sequence[PlotNode], axis: str) -> float:
    places = [getattr(node, axis) for node in nodes]
    return max(places, default=0.0) - min(places, default=0.0)


def _tint(color: str) -> tuple[float, float, float]:
    """Returns a pale version of a colour, on which dark text is read well."""
    from matplotlib.colors import to_rgb

    red, green, blue = (1 - 0.18 * (1 - part) for part in to_rgb(color))
    return red, green, blue
