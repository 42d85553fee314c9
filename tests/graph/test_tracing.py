"""Tracing: rule 1 of the library, and what the graph knows of a network."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from jaxevo.graph import piece, trace
from jaxevo.network import Network, spec
from tests.networks import KINDS, build, networks, pictures


@pytest.mark.smoke
@pytest.mark.parametrize("kind", KINDS)
def test_a_jitted_replay_of_every_kind_of_network_equals_apply_bit_for_bit(kind):
    network = build(1, 8, (kind, "residual"))
    x = pictures(2, 5)
    assert np.array_equal(jax.jit(trace(network).replay)(network.params, x), network(x))


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_traced_in_float32_can_be_replayed_in_bfloat16(kind):
    network, x = build(1, 8, (kind, "residual")), pictures(2, 5)
    graph, expected = trace(network), network(x)
    narrow = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), (network.params, x))
    outputs = jax.jit(graph.replay)(*narrow)
    assert outputs.dtype == jnp.bfloat16
    assert 0 < np.max(np.abs(outputs.astype(np.float32) - expected)) <= 0.05 * np.max(np.abs(expected))


@settings(max_examples=8, deadline=None)
@given(networks())
def test_replays_of_drawn_networks_equal_apply(network):
    graph, x = trace(network), pictures(0, 4)
    expected = network(x)
    assert np.array_equal(jax.jit(graph.replay)(network.params, x), expected)
    eager = graph.replay(network.params, x)
    assert np.max(np.abs(eager - expected)) <= 1e-5 * np.max(np.abs(expected))


@settings(max_examples=6, deadline=None)
@given(networks(least=2))
def test_pieces_between_cuts_chain_to_the_whole_network(network):
    graph, x = trace(network), jnp.asarray(pictures(0, 3))
    stops = [(cut.value,) for cut in graph.cuts[:-1]]
    values = [x]
    for reads, writes in itertools.pairwise([graph.program.inputs, *stops, graph.program.outputs]):
        part = piece(graph, reads, writes)
        values = part.apply(part.select(network.params), *values)
    expected = network.apply(network.params, x)
    assert np.max(np.abs(values[0] - expected)) <= 1e-5 * np.max(np.abs(expected))


@settings(max_examples=20, deadline=None)
@given(networks())
def test_layers_and_blocks_hold_every_equation_that_depends_on_the_inputs_once(network):
    graph = trace(network)
    dynamic = {i for i, e in enumerate(graph.program.equations) if e.writes[0] in graph.program.dynamic}
    held = [i for layer in graph.layers for i in layer.equations]
    assert sorted(held) == sorted(dynamic)
    assert [i for block in graph.blocks for i in block] == list(range(len(graph.layers)))


@settings(max_examples=20, deadline=None)
@given(networks())
def test_cuts_are_ordered_by_depth_and_one_ends_each_residual_block(network):
    graph = trace(network)
    depths = [cut.depth for cut in graph.cuts]
    assert depths == sorted(depths)
    assert depths[-1] == 1.0
    sums = [i for i, layer in enumerate(graph.layers) if layer.kind == "sum"]
    assert set(sums) <= {cut.layer for cut in graph.cuts}


def test_the_fingerprint_tells_architectures_apart_and_ignores_weights():
    first, again = trace(build(1, 8, ("plain", "attention"))), trace(build(2, 8, ("plain", "attention")))
    other = trace(build(1, 8, ("attention", "plain")))
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_parameters_and_multiply_adds_are_those_counted_by_hand():
    graph = trace(build(0, 4, ("plain",)))
    assert graph.parameters == 3 * 3 * 3 * 4 + (3 * 3 * 4 * 4 + 4 + 4) + 4 * 3
    assert graph.multiply_adds == 64 * 9 * 3 * 4 + 64 * 9 * 4 * 4 + 4 * 3


def test_the_body_of_a_scan_counts_as_often_as_it_runs():
    plain, recurrent = (trace(build(0, 4, blocks)) for blocks in ((), ("recurrent",)))
    assert recurrent.multiply_adds - plain.multiply_adds == 8 * (8 * 4 * 4 * 2)


def test_transposed_convolutions_count_no_zeros():
    def apply(kernel, x):
        return jax.lax.conv_transpose(x, kernel, (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    network = Network(apply, np.ones((2, 2, 3, 5), np.float32), spec(np.zeros((1, 4, 6, 3), np.float32)), "up")
    # Each of 4x6 inputs of 3 channels meets a kernel of 2x2 for each of 5 outputs.
    assert trace(network).multiply_adds == 4 * 6 * 3 * 2 * 2 * 5


def test_channels_of_embeddings_are_those_of_the_table():
    def apply(params, tokens):
        x = params["table"][tokens]
        return (x + jax.nn.relu(x @ params["kernel"])).mean(1)

    params = {"table": np.ones((11, 6), np.float32), "kernel": np.ones((6, 6), np.float32)}
    graph = trace(Network(apply, params, spec(np.zeros((1, 7), np.int32)), "tokens"))
    found = {f.channel for f in graph.features if f.batch == 0 and f.shape == (7, 6)}
    assert found == {2}


def test_channels_first_networks_have_their_channel_axis_read_from_the_convolution():
    def apply(params, x):
        x = jax.nn.relu(jax.lax.conv_general_dilated(x, params["kernel"], (1, 1), "SAME"))
        return x.mean((2, 3)) @ params["head"]

    params = {"kernel": jnp.ones((5, 3, 3, 3)), "head": jnp.ones((5, 2))}
    feature = trace(Network(apply, params, spec(np.zeros((1, 3, 6, 7), np.float32)))).cuts[0].feature
    assert (feature.kind, feature.channel, feature.channels, feature.space) == ("map", 1, 5, (6, 7))


def test_a_network_that_closes_over_a_large_array_is_refused():
    table = jnp.ones((600, 600))
    network = Network(lambda p, x: x @ (p["w"] @ table), {"w": jnp.ones((4, 600))}, spec(np.zeros((1, 4), np.float32)))
    with pytest.raises(ValueError, match=r"closes over 1\.4 MB.*pass them in its params"):
        trace(network)


def test_a_network_whose_equations_depend_on_the_batch_size_is_refused():
    def apply(params, x):
        return x @ params["w"] if x.shape[0] < 4 else jnp.tanh(x) @ params["w"]

    graph = trace(Network(apply, {"w": jnp.ones((3, 2))}, spec(np.zeros((1, 3), np.float32))))
    with pytest.raises(ValueError, match="other equations at batch size 8"):
        graph.replay({"w": jnp.ones((3, 2))}, jnp.ones((8, 3)))


def test_what_is_no_network_is_refused_with_the_next_step():
    with pytest.raises(
        TypeError, match=r"network is a dict, expected a jaxevo\.Network; make one with jaxevo\.from_flax"
    ):
        trace({})


def test_a_piece_that_misses_an_input_is_refused():
    graph = trace(build(0, 4, ("residual",)))
    inner = next(layer.value for layer in graph.layers if layer.name == "block0" and layer.kind == "conv")
    with pytest.raises(ValueError, match="by a way around"):
        piece(graph, (inner,), graph.program.outputs)
