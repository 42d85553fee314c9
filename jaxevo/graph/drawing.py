"""Graphs drawn as text."""

from jaxevo.graph.cost import multiply_adds
from jaxevo.graph.tracing import TRACED, NetworkGraph, check_graph


def draw(graph: NetworkGraph) -> str:
    """Draws a network as a table of its layers, a line each.

    Args:
      graph: the network.

    Returns:
      Lines with mark, layer, kind, feature and multiply-adds of one example. The mark is "o" where everything flows
      through the layer, "|" within a block of branches.

    Raises:
      TypeError: where it is no `NetworkGraph`.
    """
    check_graph("draw", "graph", graph)
    cuts = {cut.layer for cut in graph.cuts}
    rows = [
        (
            "o" if index in cuts else "|",
            layer.name,
            layer.kind,
            str(graph.features[layer.value]),
            f"{multiply_adds(graph.program, list(layer.equations)) // TRACED:,}",
        )
        for index, layer in enumerate(graph.layers)
    ]
    rows = [("", "layer", "kind", "feature", "multiply-adds"), *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        "  ".join(
            cell.rjust(width) if column == 4 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    total = f"{graph.name}: {graph.parameters:,} parameters, {graph.multiply_adds:,} multiply-adds"
    return "\n".join([total, *lines])
