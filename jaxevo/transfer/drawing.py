"""An alignment as a picture: both main paths side by side, lines between layers that correspond."""

from typing import Any

from jaxevo import plots
from jaxevo.transfer.alignment import Alignment
from jaxevo.transfer.layers.structure import Blocks, Unit

#: Pairs worth less are drawn as thin lines.
_STRONG = 0.5


def draw(alignment: Alignment, *, axes: Any = None) -> Any:
    """Draws an alignment (extra `plots`): layers downwards, blocks apart, what has no counterpart in grey.

    Args:
      alignment: from `align`.
      axes: matplotlib Axes to draw on; by default new ones with room for everything.

    Returns:
      The Axes.

    Raises:
      TypeError: where it is no alignment.
      ImportError: where matplotlib is missing.
    """
    if not isinstance(alignment, Alignment):
        raise TypeError(f"draw: alignment is a {type(alignment).__name__}, expected what transfer.align returns")
    names = (alignment.source.graph.name, alignment.target.graph.name)
    boxes = [*_boxes(alignment.source, 0, {id(pair.source) for pair in alignment.pairs})]
    boxes += _boxes(alignment.target, 1, {id(pair.target) for pair in alignment.pairs})
    edges = [
        plots.PlotEdge(_label(pair.source, 0), _label(pair.target, 1), "stitch", pair.score >= _STRONG)
        for pair in alignment.pairs
    ]
    axes = plots.canvas_for(boxes) if axes is None else axes
    said = f"similarity {alignment.similarity:.2f}, coverage {alignment.coverage:.2f}"
    return plots.layers(axes, boxes, edges, titles={0.0: names[0], 1.0: f"{names[1]}\n{said}"})


def _boxes(side: Blocks, column: int, matched: set[int]) -> list[plots.PlotNode]:
    """Lists the layers of a main path, with half a row between blocks."""
    return [
        plots.PlotNode(
            _label(unit, column), str(column), column, index + 0.5 * unit.block, id(unit) in matched, _sizes(unit)
        )
        for index, unit in enumerate(side.main)
    ]


def _label(unit: Unit, column: int) -> str:
    # Both networks may have a layer of this name, and boxes are told apart by what stands in them.
    return unit.name + " " * column


def _sizes(unit: Unit) -> str:
    outputs, inputs, *space = unit.kernel.shape
    sides = [str(length) for length in space if length > 1]
    return f"{inputs}→{outputs}" + (f" {'x'.join(sides)}" if sides else "")
