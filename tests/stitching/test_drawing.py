"""The picture of a merged network holds every piece, and that of an offspring greys what it does not use."""

import re

import numpy as np
import pytest

from jaxevo import plots, search, stitching
from tests.stitching.merging import small
from tests.stitching.test_parents import merged_of


@pytest.mark.parametrize("parents", [2, 3])
def test_every_piece_of_every_parent_is_drawn_once(parents):
    merged = small(fitted=False) if parents == 2 else merged_of("three", fitted=False)
    axes = stitching.draw(merged)
    texts = [text.get_text() for text in axes.texts]
    names = {parent.name for parent in merged.parents}
    for node in merged.graph.nodes:
        if node.group in names:
            assert sum(text == node.name for text in texts) == 1


def test_what_an_offspring_does_not_use_is_grey(monkeypatch):
    merged, drawn = small(fitted=False), {}
    monkeypatch.setattr(plots, "layers", lambda axes, nodes, edges, **_: drawn.update(nodes=nodes, edges=edges) or axes)
    genome = np.zeros(len(merged.graph.options), np.int32)
    genome[0] = 1
    stitching.draw(merged, genome)
    used = {node.name for node in drawn["nodes"] if node.used}
    assert used == {"b[0]", *(f"a[{i}]" for i in range(1, len(merged.pairs) + 1))}
    crossing = [edge for edge in drawn["edges"] if edge.used and edge.kind == "stitch"]
    assert [(edge.source, edge.target) for edge in crossing] == [("b[0]", "a[1]")]


def test_wrong_arguments_are_named():
    with pytest.raises(TypeError, match="draw: merged is a SwitchGraph"):
        stitching.draw(small(fitted=False).graph)
    with pytest.raises(ValueError, match="draw: genome is"):
        stitching.draw(small(fitted=False), np.zeros(3, int))


def test_a_front_to_explore_holds_the_way_of_every_member():
    pytest.importorskip("bokeh")
    merged = small(fitted=False)
    genomes = stitching.unstitched(merged)
    fitness = np.array([[0.8, -100.0], [0.9, -200.0], [0.95, -300.0]])
    page = stitching.explore(merged, {"front": search.Scored(genomes, fitness)})
    # Icons of bokeh's own are far shorter than a drawing.
    assert len(set(re.findall(r"data:image/png;base64,[\w+/=]{2000,}", page.html))) == 3
    for genome in genomes:
        assert stitching.describe(merged, genome) in page.html
    with pytest.raises(ValueError, match=r"fitness of 'front' has shape \[3, 1\]"):
        stitching.explore(merged, {"front": search.Scored(genomes, fitness[:, :1])})
