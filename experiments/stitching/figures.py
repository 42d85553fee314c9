"""Pictures of the stitching experiment: the front, the merged network and an offspring's way through it."""

import pathlib
from typing import Any

import numpy as np

from jaxevo import plots, stitching


def draw_front(path: pathlib.Path, data: str, parents, ensembles, random, front) -> None:
    """Draws parents, ensembles and both fronts, multiply-adds against test accuracy."""
    sets = {"random search": random, "evolved front": front, "ensembles": ensembles, "parents": parents}
    series = {
        name: np.array([[entry["macs"], entry["test_accuracy"]] for entry in entries]).reshape(-1, 2)
        for name, entries in sets.items()
    }
    names = {"parents": [entry["name"].split("[")[0] for entry in parents]}
    axes = plots.front(plots.canvas(), series, "multiply-adds", f"test accuracy ({data})", names=names, percent=True)
    axes.figure.savefig(path)


def draw_networks(path: pathlib.Path, merged: stitching.Merged, best: dict[str, Any] | None) -> None:
    """Draws the merged network, and in it the best offspring where there is one."""
    graph = merged.graph
    genome = None if best is None else np.asarray(best["genome"])
    used = set(range(len(graph.nodes))) if genome is None else set(graph.path(genome))
    boxes, edges, columns = [], [], {merged.parents[0].name: 0.0, merged.parents[1].name: 1.0}
    for index, node in enumerate(graph.nodes):
        if node.group in columns:
            row = int(node.name[len(node.group) + 1 : -1])
            label = f"{node.multiply_adds / 1e6:.2f} M"
            boxes.append(plots.PlotNode(node.name, node.group, columns[node.group], row, index in used, label))
            edges += _edges(graph, genome, used, index)
    title = "merged network" if best is None else f"{best['name']}: {best['test_accuracy']:.1%} on test"
    axes = plots.layers(
        plots.canvas_for(boxes), boxes, edges, titles={0.0: merged.parents[0].name, 1.0: merged.parents[1].name}
    )
    axes.set_title(title, fontsize=10)
    axes.figure.savefig(path)


def _edges(graph, genome, used, index):
    """Arrows into a piece: from its own network's piece before it, and from the other's through a stitch."""
    found = []
    for read in graph.nodes[index].reads:
        if read < 0:
            continue
        taken = None if genome is None else graph.source(genome, read)
        for option in graph.nodes[read].reads:
            stitched = graph.nodes[option].group == "stitch"
            source = graph.nodes[graph.nodes[option].reads[0] if stitched else option].name
            active = index in used and (taken is None or taken == option)
            kind = "stitch" if stitched else "flow"
            found.append(plots.PlotEdge(source, graph.nodes[index].name, kind, active))
    return found
