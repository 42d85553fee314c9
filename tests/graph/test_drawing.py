"""Drawings and layers: real modules give their names, kinds are read from the equations."""

import re

import jax
import numpy as np
import pytest

from experiments import zoo
from jaxevo.graph import draw, trace
from tests.networks import build


@pytest.mark.smoke
def test_a_drawing_lists_every_layer_once_with_its_cost_and_the_totals():
    graph = trace(build(0, 4, ("residual", "plain"), name="small"))
    lines = draw(graph).splitlines()
    assert lines[0] == f"small: {graph.parameters:,} parameters, {graph.multiply_adds:,} multiply-adds"
    assert lines[1].split() == ["layer", "kind", "feature", "multiply-adds"]
    assert len(lines) == 2 + len(graph.layers)
    assert len({len(line) for line in lines[1:]}) == 1
    costs = [int(line.split()[-1].replace(",", "")) for line in lines[2:]]
    assert sum(costs) == graph.multiply_adds
    marks = {layer.name: line[0] for layer, line in zip(graph.layers, lines[2:], strict=True)}
    assert marks == {"stem": "o", "block0": "|", "block0#2": "|", "sum": "o", "block1": "o", "pool": "o", "head": "o"}
    assert re.search(r"^o  head +dense +vector \[B, 3\] +12$", lines[-1])


SIZES = {
    "resnet": {"stem": 4, "widths": (4, 8), "depths": (1, 1), "strides": (1, 2)},
    "vit": {"width": 8, "depth": 1, "heads": 2},
    "mobilenet": {"stem": 4, "widths": (4,), "depths": (1,), "strides": (1,), "excite": 0.25, "head": 8},
}


def linen(family):
    trainable = zoo.build(family, (8, 8, 3), 3, **SIZES[family])
    return trace(trainable.network(*trainable.init(jax.random.key(0))))


def test_layers_of_a_linen_resnet_bear_the_names_of_its_modules():
    graph = linen("resnet")
    assert [(layer.name, layer.kind) for layer in graph.layers] == [
        ("Conv_0", "conv"),
        ("BasicBlock_0/Conv_0", "conv"),
        ("BasicBlock_0/Conv_1", "conv"),
        ("BasicBlock_0/sum", "sum"),
        ("BasicBlock_1/Conv_0", "conv"),
        ("BasicBlock_1/Conv_1", "conv"),
        ("BasicBlock_1/Conv_2", "conv"),
        ("BasicBlock_1/sum", "sum"),
        ("pool", "pool"),
        ("Dense_0", "dense"),
    ]
    assert [cut.name for cut in graph.cuts] == ["Conv_0", "BasicBlock_0/sum", "BasicBlock_1/sum", "pool", "Dense_0"]
    assert graph.blocks == ((0,), (1, 2, 3), (4, 5, 6, 7), (8,), (9,))


def test_layers_of_a_linen_vit_are_told_apart_by_kind_and_the_stream_is_cut_at_its_sums():
    graph = linen("vit")
    kinds = {layer.name.removeprefix("Encoder_0/MultiHeadDotProductAttention_0/"): layer.kind for layer in graph.layers}
    assert {name: kinds[name] for name in ("query", "key", "value", "out", "Encoder_0/LayerNorm_0", "Dense_0")} == {
        **dict.fromkeys(("query", "key", "value", "out", "Dense_0"), "dense"),
        "Encoder_0/LayerNorm_0": "norm",
    }
    assert sum(kind == "matmul" for kind in kinds.values()) == 2
    streams = [cut for cut in graph.cuts if cut.feature.kind == "tokens"]
    assert "Encoder_0/sum" in [cut.name for cut in streams]
    assert {cut.feature.shape for cut in streams} == {(4, 8)}


def test_squeeze_and_excite_and_depthwise_layers_are_recognised():
    kinds = [layer.kind for layer in linen("mobilenet").layers]
    assert kinds.count("depthwise") == 1
    assert kinds.count("product") == 1
    assert np.array_equal(kinds[-2:], ["pool", "dense"])
