"""A backbone and the rest behind it are the network."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings

from jaxevo import pruning, trace
from jaxevo.network import Network
from tests.networks import build, networks, pictures
from tests.spaces import relative


@settings(max_examples=2)
@given(networks(least=2, most=3))
def test_the_rest_of_the_backbone_is_the_network_at_every_cut(network):
    x, graph = pictures(0, 3), trace(network)
    expected = network.apply(network.params, x)
    cuts = [cut for cut in graph.cuts if cut.value not in graph.program.outputs]
    for cut in cuts:
        backbone, rest = pruning.split(network, cut.name)
        assert relative(rest.apply(rest.params, backbone.apply(backbone.params, x)), expected) <= 1e-5
        assert {*backbone.params, *rest.params} == set(graph.paths)
        assert (backbone.output, rest.output) == ("values", network.output)
        assert trace(backbone).multiply_adds + trace(rest).multiply_adds == graph.multiply_adds


def test_a_cut_of_the_graph_is_as_good_as_its_name():
    network = build(0, 4, ("plain", "residual"))
    cut = trace(network).cuts[1]
    backbone, rest = pruning.split(network, cut)
    assert rest.inputs.shape == cut.feature.shape
    assert relative(rest(backbone(pictures(0, 3))), np.asarray(network(pictures(0, 3)))) <= 1e-5


@pytest.mark.parametrize(
    ("at", "error", "message"),
    [
        ("blok0", ValueError, "at is 'blok0', but 'network' has no such layer; take one of its .* 'block0'"),
        ("block1", ValueError, "does not all flow through the end of that layer; take one"),
        ("head", ValueError, "the last layer of 'network', behind which nothing is left"),
        (3, TypeError, "at is 3, expected the name of a layer"),
    ],
)
def test_a_place_that_is_none_is_refused_with_near_names(at, error, message):
    with pytest.raises(error, match=message):
        pruning.split(build(0, 4, ("plain", "residual")), at)


def test_what_is_no_network_is_refused():
    with pytest.raises(TypeError, match="split: network is a int"):
        pruning.split(3, "stem")  # type: ignore[arg-type]
    other = trace(build(0, 8, ("plain",))).cuts[0]
    with pytest.raises(ValueError, match="at is a cut 'stem' that 'network' does not have"):
        pruning.split(build(0, 4, ("plain", "residual")), other)


def test_outputs_of_any_structure_come_out_of_the_rest():
    network = build(0, 4, ("plain",))

    def twice(params, inputs):
        logits = network.apply(params, inputs)
        return {"a": logits, "b": 2 * logits}

    both = Network(twice, network.params, network.inputs)
    backbone, rest = pruning.split(both, trace(both).cuts[0])
    found = rest(backbone(pictures(0, 2)))
    assert jax.tree.structure(found) == jax.tree.structure({"a": 0, "b": 0})
    np.testing.assert_allclose(found["b"], 2 * found["a"], rtol=1e-5)


def test_two_parts_are_joined_to_one_network_again():
    network = build(0, 4, ("plain", "residual"))
    parts = pruning.split(network, "block0")
    joined = pruning.join(*parts)
    assert relative(joined(pictures(0, 3)), np.asarray(network(pictures(0, 3)))) <= 1e-5
    assert trace(joined).multiply_adds == trace(network).multiply_adds
    with pytest.raises(ValueError, match=r"join: 'network\[block0:\]' gives .*, but 'network\[:block0\]' takes"):
        pruning.join(*reversed(parts))
    with pytest.raises(TypeError, match="join: rest is a int"):
        pruning.join(network, 3)  # type: ignore[arg-type]
