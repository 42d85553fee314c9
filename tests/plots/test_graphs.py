"""Networks are drawn with a box for each node and an arrow for each edge, the unused in grey."""

import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from jaxevo import plots
from jaxevo.plots import PlotEdge, PlotNode
from jaxevo.plots.look import FAINT, STITCH

NODES = [
    PlotNode("a0", "a", 0, 0, cost="1.0 M"),
    PlotNode("a1", "a", 0, 1, used=False),
    PlotNode("a2 with a name that is much too long for its box", "a", 0, 2),
    PlotNode("b0", "b", 1, 0),
    PlotNode("b1", "b", 1, 1),
]
EDGES = [
    PlotEdge("a0", "a1", used=False),
    PlotEdge("a0", NODES[2].name),
    PlotEdge("b0", "b1"),
    PlotEdge("a0", "b1", "stitch"),
    PlotEdge("b0", "a1", "stitch", used=False),
]


def patches(axes, kind):
    return [patch for patch in axes.patches if isinstance(patch, kind)]


def test_every_node_and_edge_is_drawn_with_names_costs_and_titles(tmp_path):
    axes = plots.canvas_for(NODES)
    assert plots.layers(axes, NODES, EDGES, titles={0: "A", 1: "B"}) is axes
    assert len(patches(axes, FancyBboxPatch)) == 5
    assert len(patches(axes, FancyArrowPatch)) == 5
    texts = [text.get_text() for text in axes.texts]
    assert {"a0", "1.0 M", "A", "B"} <= set(texts)
    assert any(text.startswith("a2 with a name") and text.endswith("…") for text in texts)
    axes.figure.savefig(tmp_path / "graph.svg")


def test_what_is_used_is_coloured_and_what_is_not_is_grey():
    axes = plots.layers(plots.canvas_for(NODES), NODES, EDGES, colors={"a": "#123456"})
    boxes = [to_hex(box.get_edgecolor()) for box in patches(axes, FancyBboxPatch)]
    assert boxes[0] == boxes[2] == "#123456"
    assert boxes[1] == FAINT.lower()
    arrows = [to_hex(arrow.get_edgecolor()) for arrow in patches(axes, FancyArrowPatch)]
    assert arrows.count(FAINT.lower()) == 2
    assert arrows.count(STITCH.lower()) == 1


def test_unknown_and_repeated_names_are_refused():
    with pytest.raises(ValueError, match=r"edges name \['c9'\]"):
        plots.layers(plots.canvas(), NODES, [PlotEdge("a0", "c9")])
    with pytest.raises(ValueError, match="expected at least one and each unique"):
        plots.layers(plots.canvas(), NODES + NODES[:1], [])
