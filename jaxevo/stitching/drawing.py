"""The merged network as a picture, in it the way of an offspring through its parents, and a front that shows both."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxevo import plots
from jaxevo.search import Scored
from jaxevo.stitching.merging import Merged, check_merged
from jaxevo.stitching.naming import describe


def draw(merged: Merged, genome: np.ndarray | None = None, *, axes: Any = None) -> Any:
    """Draws the pieces of all parents side by side with the stitches between them (extra `plots`).

    Args:
      merged: the merged network.
      genome: int [G], an offspring; what it does not use is grey. By default all is in colour.
      axes: matplotlib Axes to draw on; by default new ones with room for everything.

    Returns:
      The Axes.

    Raises:
      TypeError: where merged is no `Merged`.
      ValueError: where the genome is not one of it.
      ImportError: where matplotlib is missing.
    """
    check_merged("draw", merged)
    graph = merged.graph
    genome = None if genome is None else graph.check("draw", genome)
    used = set(range(len(graph.nodes))) if genome is None else set(graph.path(genome))
    columns = {parent.name: float(column) for column, parent in enumerate(merged.parents)}
    boxes, edges = [], []
    for index, node in enumerate(graph.nodes):
        if node.group in columns:
            row = int(node.name[len(node.group) + 1 : -1])
            cost = f"{node.multiply_adds / 1e6:.2f} M"
            boxes.append(plots.PlotNode(node.name, node.group, columns[node.group], row, index in used, cost))
            edges += _edges(graph, genome, used, index)
    axes = plots.canvas_for(boxes) if axes is None else axes
    return plots.layers(axes, boxes, edges, titles={column: name for name, column in columns.items()})


def explore(
    merged: Merged, sets: Mapping[str, Scored], x_label: str = "multiply-adds", y_label: str = "accuracy"
) -> Any:
    """Draws sets of offspring for a notebook: pointing at one shows its way through the parents (extra `notebook`).

    Args:
      merged: the merged network.
      sets: by name, genomes and their fitness [n, m], such as `{"front": result.front}`; the first objective is drawn
        upwards, the second one, a negated cost, to the right.
      x_label, y_label: what the axes show.

    Returns:
      A `plots.Page`, which shows itself in a notebook and saves itself as one HTML file.

    Raises:
      TypeError: where merged is no `Merged`.
      ValueError: where a set has fewer than two objectives, or genomes are not of the merged network.
      ImportError: where bokeh or matplotlib is missing.
    """
    check_merged("explore", merged)
    if not isinstance(sets, Mapping):
        raise TypeError(f"explore: sets is {sets!r}, expected a dictionary such as {{'front': result.front}}")
    series, pictures, names = {}, {}, {}
    for name, scored in sets.items():
        if not hasattr(scored, "fitness") or not hasattr(scored, "genomes"):
            raise TypeError(f"explore: sets[{name!r}] is {scored!r}, expected a search.Scored such as result.front")
        fitness = np.asarray(scored.fitness)
        if fitness.ndim != 2 or fitness.shape[1] < 2:
            raise ValueError(
                f"explore: fitness of {name!r} has shape {list(fitness.shape)}, expected [n, m] with at least two "
                "objectives, quality and a negated cost"
            )
        genomes = np.asarray(scored.genomes)
        series[name] = np.stack([-fitness[:, 1], fitness[:, 0]], axis=1)
        pictures[name] = [draw(merged, genome) for genome in genomes]
        names[name] = [describe(merged, genome) for genome in genomes]
    return plots.explorable_front(series, x_label, y_label, pictures=pictures, names=names, percent=True)


def _edges(graph, genome, used, index) -> list[plots.PlotEdge]:
    """Arrows into a piece: from pieces of its own network, and from those of others through a stitch."""
    found = []
    for read in graph.nodes[index].reads:
        if read < 0:
            continue
        taken = None if genome is None else graph.source(genome, read)
        switch = graph.nodes[read].segment is None
        for option in graph.nodes[read].reads if switch else (read,):
            stitched = graph.nodes[option].group == "stitch"
            source = graph.nodes[graph.nodes[option].reads[0] if stitched else option].name
            active = index in used and (taken is None or taken == option)
            kind = "stitch" if stitched else "flow"
            found.append(plots.PlotEdge(source, graph.nodes[index].name, kind, active))
    return found
