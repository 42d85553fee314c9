"""Fast replays agree with the network, in values and gradients, whatever the order of axes and the window."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxevo.graph import accelerate, acceleration
from jaxevo.network import Network, spec
from tests.networks import KINDS, build, pictures


def agree(got, expected, tolerance=1e-5):
    scale = np.max(np.abs(expected))
    return np.max(np.abs(np.asarray(got) - np.asarray(expected))) <= tolerance * scale


def equations(jaxpr):
    """Yields all equations of a jaxpr, those of calls and loops included."""
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in eqn.params.values():
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from equations(inner)


def draw(index, *shape):
    return jax.random.normal(jax.random.key(index), shape) / np.sqrt(np.prod(shape[1:]))


def channels_first():
    """Makes a network whose features are [B, C, H, W]: a stem, a depthwise layer, pooling, excitation and a head."""
    params = {
        "stem": draw(0, 8, 3, 1, 1), "conv": draw(1, 8, 1, 3, 3), "bias": draw(2, 8, 1, 1),
        "squeeze": draw(3, 8, 8, 1, 1), "head": draw(4, 16, 3),
    }  # fmt: skip

    def apply(params, x):
        x = jax.nn.relu(jax.lax.conv_general_dilated(x, params["stem"], (1, 1), "VALID"))
        x = jax.lax.conv_general_dilated(x, params["conv"], (1, 1), "SAME", feature_group_count=8)
        x = jax.nn.silu(x + params["bias"])
        pooled = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 1), (1, 1, 1, 1), "SAME")
        gate = jax.lax.conv_general_dilated(x.mean((2, 3), keepdims=True), params["squeeze"], (1, 1), "VALID")
        x = jnp.concatenate([x * jax.nn.sigmoid(gate), pooled], axis=1)
        return x.mean((2, 3)) @ params["head"]

    return Network(apply, params, spec(np.zeros((1, 3, 9, 8), np.float32)))


def loss(network):
    return jax.jit(jax.value_and_grad(lambda params, x: (network.apply(params, x) ** 2).sum()))


@pytest.mark.smoke
@pytest.mark.parametrize("kind", KINDS)
def test_accelerated_networks_of_every_kind_agree(kind):
    network, x = build(1, 8, (kind, "residual")), pictures(2, 5)
    assert agree(accelerate(network, "cpu")(x), network(x))


@settings(max_examples=6, deadline=None)
@given(
    st.sampled_from([(3, 3), (5, 5), (1, 1), (2, 3)]),
    st.sampled_from([(1, 1), (2, 2), (2, 1)]),
    st.sampled_from([(1, 1), (2, 1)]),
    st.sampled_from([((1, 1), (1, 1)), ((0, 2), (1, 0)), ((0, 0), (0, 0)), ((-1, 1), (2, -1))]),
    st.sampled_from([(8, 8), (8, 16), (4, 8), (2, 4), (1, 8)]),
)
def test_convolutions_agree_in_values_and_gradients(window, strides, dilation, padding, channels):
    groups, out = channels

    def apply(params, x):
        x = jax.lax.conv_general_dilated(
            x, params["conv"], strides, padding, rhs_dilation=dilation, feature_group_count=groups
        )
        return jax.nn.relu(x)

    network = Network(apply, {"conv": draw(0, out, 8 // groups, *window)}, spec(np.zeros((1, 8, 9, 8), np.float32)))
    x = np.asarray(jax.random.normal(jax.random.key(1), (5, 8, 9, 8)))
    expected, gradients = loss(network)(network.params, x)
    got, ours = loss(accelerate(network, "cpu"))(network.params, x)
    assert agree(got, expected)
    assert all(agree(ours[name], gradients[name], 1e-4) for name in ours)


def test_channels_first_features_are_moved_at_the_ends_only():
    network = channels_first()
    shapes = [jax.ShapeDtypeStruct((5, 3, 9, 8), np.float32)]
    jaxpr = jax.make_jaxpr(accelerate(network, "cpu").apply)(network.params, *shapes)
    moved = [e for e in equations(jaxpr.jaxpr) if e.primitive.name == "transpose" and e.invars[0].aval.shape[0] == 5]
    assert [e.invars[0].aval.shape for e in moved if e.invars[0].aval.shape[2:] != (1, 1)] == [(5, 3, 9, 8)]
    assert not [e for e in equations(jaxpr.jaxpr) if e.primitive.name == "conv_general_dilated"]


@pytest.mark.parametrize("batch", [1, 6, 7])
def test_a_batch_that_does_not_fit_runs_in_equal_parts(monkeypatch, batch):
    network = channels_first()
    monkeypatch.setattr(acceleration, "_LARGEST_FEATURE", 4 * 3 * 16 * 9 * 8)
    x = np.asarray(jax.random.normal(jax.random.key(1), (batch, 3, 9, 8)))
    fast = accelerate(network, "cpu")
    loops = [e for e in equations(jax.make_jaxpr(fast.apply)(network.params, x).jaxpr) if e.primitive.name == "scan"]
    assert [e.params["length"] for e in loops] == {1: [], 6: [2], 7: [7]}[batch]
    assert agree(fast(x), network(x))


def test_a_network_whose_examples_depend_on_one_another_runs_whole(monkeypatch):
    network = Network(lambda p, x: (x - x.mean(0)) @ p, jnp.ones((4, 2)), spec(np.zeros((1, 4), np.float32)))
    monkeypatch.setattr(acceleration, "_LARGEST_FEATURE", 1)
    x = np.asarray(jax.random.normal(jax.random.key(1), (6, 4)))
    assert agree(accelerate(network, "cpu")(x), network(x))


def test_parameters_can_be_vmapped():
    network = channels_first()
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), network.params)
    x = np.asarray(jax.random.normal(jax.random.key(1), (3, 3, 9, 8)))
    got, expected = (jax.jit(jax.vmap(n.apply, (0, None)))(stacked, x) for n in (accelerate(network, "cpu"), network))
    assert agree(got, expected)


@pytest.mark.parametrize("platform", ["gpu", "tpu"])
def test_on_accelerators_the_replay_is_the_network_bit_for_bit(platform):
    network, x = build(1, 8, ("depthwise", "grouped")), pictures(2, 5)
    assert np.array_equal(accelerate(network, platform)(x), network(x))


def test_a_platform_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="accelerate: platform is 'npu', expected one of 'cpu', 'gpu'"):
        accelerate(build(1, 4, ("plain",)), "npu")
