"""Layers that nothing corresponds to let through what the others compute."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import transfer
from jaxevo.network import Network, spec
from tests.networks import pictures
from tests.transfer.small import chain, drawn

INPUTS = pictures(0, 3)
VECTORS = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)


def filled(source, target, **settings):
    """Returns the parameters of a target after transfer, and what is set in it, by path."""
    alignment = transfer.align(source, target)
    made = transfer.copy_weights(alignment, source.params, target.params, **settings)
    report = transfer.report(alignment, **settings)
    return made, {entry.target: entry.how for entry in report.entries if entry.how in ("zero", "identity")}


def depthwise(filtered: bool, seed: int) -> Network:
    """Makes a convolution, where asked a filter of 5x5 for each channel, and a dense layer."""
    params = {"conv": np.zeros((3, 3, 3, 4)), "head": np.zeros((4, 3))}
    params |= {"filter": np.zeros((5, 5, 1, 4))} if filtered else {}

    def convolve(x, kernel, groups):
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=numbers, feature_group_count=groups
        )

    def apply(params, x):
        x = jax.nn.relu(convolve(x, params["conv"], 1))
        if filtered:
            x = jax.nn.relu(convolve(x, params["filter"], 4))
        return x.mean((1, 2)) @ params["head"]

    return Network(apply, drawn(seed, params), spec(INPUTS), "depthwise")


def normalised_sums(blocks: int, seed: int) -> Network:
    """Makes residual blocks of two dense layers over vectors, with a normalisation after each sum."""
    one = {"up": np.zeros((8, 16)), "down": np.zeros((16, 8)), "scale": np.zeros(8), "shift": np.zeros(8)}
    params = {"head": np.zeros((8, 3)), **{f"block{i}": one for i in range(blocks)}}

    def apply(params, x):
        for i in range(blocks):
            p = params[f"block{i}"]
            x = x + jax.nn.relu(x @ p["up"]) @ p["down"]
            x = (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-6)
            x = x * p["scale"] + p["shift"]
        return x @ params["head"]

    return Network(apply, drawn(seed, params), spec(VECTORS), "normalised sums")


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("source", "target", "wanted"),
    [
        (
            chain((4, 4, 4), residual=True),
            chain((6, 6, 6, 6), residual=True, seed=1),
            {"conv3/kernel": "zero", "conv3/bias": "zero"},
        ),
        (
            chain((4, 4, 4), residual=True, normalise=True),
            chain((4, 4, 4, 4), residual=True, normalise=True, seed=1),
            {"conv3/bias": "zero", "conv3/scale": "zero", "conv3/shift": "zero"},
        ),
        (chain((4, 4)), chain((6, 6, 6), seed=1), {"conv2/kernel": "identity", "conv2/bias": "zero"}),
        (depthwise(False, 0), depthwise(True, 1), {"filter": "identity"}),
    ],
)
def test_a_deeper_network_computes_what_its_source_did(source, target, wanted):
    made, found = filled(source, target)
    assert found == wanted
    outputs = source.apply(source.params, INPUTS)
    np.testing.assert_allclose(target.apply(made, INPUTS), outputs, rtol=1e-5, atol=1e-5)
    kept, found = filled(source, target, bridge=False)
    assert not found
    assert not np.allclose(target.apply(kept, INPUTS), outputs, rtol=0.1)


def test_a_normalisation_of_the_sum_is_not_silenced_with_the_branch():
    source, target = normalised_sums(2, 0), normalised_sums(3, 1)
    made, found = filled(source, target)
    assert found == {"block2/down": "zero"}
    assert jnp.abs(target.apply(made, VECTORS)).min() > 0


def test_what_the_guard_keeps_back_keeps_its_own_numbers():
    source, target = chain((4, 4)), chain((4, 4), sides=(3, 15), seed=1)
    made, found = filled(source, target)
    assert not found
    np.testing.assert_array_equal(made["conv1"]["kernel"], target.params["conv1"]["kernel"])


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (chain((4, 4, 4), residual=True), chain((4, 4, 4, 4), residual=True, seed=1)),
        (chain((4, 4), normalise=True), chain((4, 4, 4), normalise=True, gate=True, seed=1)),
    ],
)
def test_everything_that_was_set_learns_after_a_step(source, target):
    made, found = filled(source, target)
    assert found

    def loss(params):
        return (target.apply(params, INPUTS) ** 2).mean()

    step = jax.tree.map(lambda leaf, slope: leaf - 1e-3 * slope, made, jax.grad(loss)(made))
    slopes = jax.grad(loss)(step)
    for layer in {path.split("/")[0] for path in found}:
        assert all(np.abs(slope).max() > 0 for slope in jax.tree.leaves(slopes[layer])), layer
