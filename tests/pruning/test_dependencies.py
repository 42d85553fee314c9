"""Which units go together is found from the equations."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import zoo
from jaxevo import from_flax, pruning, trace
from jaxevo.network import Network
from jaxevo.pruning.axes.dependencies import depend
from tests.networks import build, transformer


def found(network):
    """The groups of a network: {layers that make them: (kind, size)}."""
    return {group.layers: (group.kind, group.size) for group in pruning.groups(network)}


def drawn(function, inputs, **shapes):
    """A network of one function with parameters of these shapes; only shapes are looked at."""
    params = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}
    return Network(function, params, jax.ShapeDtypeStruct(inputs, jnp.float32))


def test_a_residual_sum_ties_all_that_is_added_up():
    assert found(build(0, 8, ("residual", "residual"))) == {
        ("stem", "block0#2", "block1#2"): ("channel", 8),
        ("block0",): ("channel", 8),
        ("block1",): ("channel", 8),
    }


def test_a_depthwise_convolution_keeps_the_channels_that_it_reads():
    assert found(build(0, 8, ("depthwise",))) == {
        ("stem", "block0"): ("channel", 8),
        ("block0#2",): ("neuron", 8),
    }


@pytest.mark.smoke
def test_a_grouped_convolution_loses_groups_or_a_channel_of_each():
    assert found(build(0, 8, ("grouped",))) == {
        ("stem", "block0"): ("channel", 2),
        ("stem",): ("channel", 4),
        ("block0",): ("channel", 4),
    }


def test_a_gate_is_cut_with_what_it_gates():
    assert found(build(0, 8, ("squeeze",)))[("block0", "block0#3")] == ("channel", 8)


def test_a_concatenation_is_cut_part_by_part():
    groups = found(build(0, 8, ("branch",)))
    assert groups[("block0",)] == ("channel", 8)
    assert groups[("block0#2",)] == groups[("block0#3",)] == ("channel", 4)


def test_what_a_layer_normalisation_or_a_loop_reads_is_left_alone():
    assert not any("stem" in layers for layers in found(build(0, 8, ("attention",))))
    assert found(build(0, 8, ("recurrent",))) == {}
    assert {kind for kind, _ in found(transformer(0, 8)).values()} == {"dimension"}


@pytest.mark.smoke
def test_heads_are_found_however_they_are_made():
    class Attention(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.MultiHeadDotProductAttention(num_heads=4, qkv_features=24)(x).sum(1)

    network = from_flax(Attention(), Attention().init(jax.random.key(0), np.zeros((1, 5, 8))), np.zeros((1, 5, 8), "f"))
    kinds = sorted((group.kind, group.size, len(group.layers)) for group in pruning.groups(network))
    assert kinds == [("dimension", 6, 1), ("dimension", 6, 2), ("head", 4, 3)]

    def fused(p, x):
        tokens = (x @ p["qkv"]).reshape(*x.shape[:2], 3, 4, 6).transpose(2, 0, 3, 1, 4)
        q, k, v = tokens[0], tokens[1], tokens[2]
        mixed = jax.nn.softmax(q @ k.swapaxes(-1, -2) / 3.0) @ v
        return (mixed.swapaxes(1, 2).reshape(*x.shape[:2], 24) @ p["out"]).sum(1)

    groups = pruning.groups(drawn(fused, (5, 8), qkv=(8, 72), out=(24, 3)))
    # Query, key and value stand in one product, so the dimensions of its heads are one group.
    assert [(group.kind, group.size) for group in groups] == [("head", 4), ("dimension", 6)]


def test_flattened_maps_lose_all_places_of_a_channel():
    def flat(p, x):
        x = jax.lax.conv_general_dilated(x, p["conv"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return x.reshape(len(x), -1) @ p["dense"]

    network = drawn(flat, (4, 4, 3), conv=(3, 3, 3, 6), dense=(96, 2))
    assert found(network) == {("conv",): ("channel", 6)}
    dependencies = depend(trace(network))
    (leaf,) = (number for number, path in enumerate(dependencies.graph.paths) if path == "dense")
    np.testing.assert_array_equal(dependencies.positions(dependencies.axes[leaf][0], 0), np.tile(np.arange(6), 16))


@pytest.mark.parametrize(
    "read",
    [
        lambda y: y / y.sum(-1, keepdims=True),
        lambda y: y - y.max(-1, keepdims=True),
        lambda y: jnp.sort(y),
        lambda y: jnp.cumsum(y, 1),
        lambda y: y[:, jnp.array([2, 0, 1, 4, 3, 5])],
        lambda y: jnp.repeat(y[:, ::2], 2, axis=1),
        lambda y: y * jnp.arange(6.0),
    ],
    ids=["mean", "maximum", "sort", "running sum", "index", "stride", "count"],
)
def test_what_depends_on_places_or_on_how_many_there_are_is_left_alone(read):
    assert found(drawn(lambda p, x: read(x @ p["a"]) @ p["b"], (5,), a=(5, 6), b=(6, 2))) == {}


def test_halves_that_gate_each_other_are_cut_together():
    def gated(p, x):
        a, b = jnp.split(x @ p["both"], 2, axis=-1)
        return (a * jax.nn.sigmoid(b)) @ p["out"]

    groups = pruning.groups(drawn(gated, (5,), both=(5, 12), out=(6, 2)))
    assert [(group.kind, group.size) for group in groups] == [("neuron", 6)]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        # A stem, two groups within each block, a residual stream for each stage.
        ("resnet50", 1 + 2 * 16 + 4),
        # A stem, expansion and squeeze of the blocks, of which the first expands nothing, seven streams, a head.
        ("efficientnet_b0", 1 + 15 + 16 + 7 + 1),
    ],
)
def test_large_networks_of_the_zoo_have_as_many_groups_as_their_architecture_says(name, count):
    assert len(pruning.groups(zoo.abstract_network(name))) == count


def test_what_is_no_network_is_refused():
    with pytest.raises(TypeError, match="trace: network is a int"):
        pruning.groups(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="depend: graph is a int"):
        depend(3)  # type: ignore[arg-type]
