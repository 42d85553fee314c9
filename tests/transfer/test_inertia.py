"""Copied kernels can be enlarged: the network computes the same, and a step of training turns them less."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxevo import transfer
from jaxevo.network import Network, spec
from jaxevo.training import as_trainable
from tests.networks import pictures
from tests.transfer.small import chain, drawn

INPUTS = pictures(0, 3)


def filled(source, target, **settings):
    """Returns the parameters of a target after transfer."""
    return transfer.copy_weights(transfer.align(source, target), source.params, target.params, **settings)


def normalised(kind: str, seed: int = 0) -> Network:
    """Makes a convolution, a normalisation of what it wrote or of something that also holds it, and a dense layer."""
    params = {"kernel": np.zeros((3, 3, 3, 3)), "mean": np.zeros(3), "var": np.zeros(3), "head": np.zeros((3, 3))}

    def apply(params, x):
        y = jax.lax.conv_general_dilated(
            x, params["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        if kind == "twice":
            y = jax.lax.conv_general_dilated(
                y, params["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
        z = {"sum": x + y, "ReLU": jax.nn.relu(y)}.get(kind, y)
        z = (z - params["mean"]) * jax.lax.rsqrt(params["var"] + 1e-5)
        z = z + y if kind == "read elsewhere" else z
        return jax.nn.relu(z).mean((1, 2)) @ params["head"]

    made = drawn(seed, params)
    return Network(apply, made | {"var": np.abs(made["var"])}, spec(INPUTS), kind)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("source", "target"),
    [
        (chain((4, 4, 4), normalise=True), chain((4, 4, 4), normalise=True, seed=1)),
        (chain((4, 4, 6), normalise=True, residual=True), chain((6, 6, 9), normalise=True, residual=True, seed=1)),
        (chain((8, 8), normalise=True, groups=8), chain((8, 8), normalise=True, groups=8, seed=1)),
    ],
)
def test_an_enlarged_network_computes_the_same(source, target):
    made, plain = (filled(source, target, inertia=c) for c in (4.0, 1.0))
    assert not np.array_equal(made["conv1"]["kernel"], plain["conv1"]["kernel"])
    outputs = source.apply(source.params, INPUTS)
    np.testing.assert_allclose(target.apply(plain, INPUTS), outputs, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(target.apply(made, INPUTS), outputs, rtol=2e-3, atol=2e-3)


def test_what_goes_through_a_normalisation_grows_with_its_statistics_and_nothing_else():
    source = chain((4, 4), normalise=True)
    made = filled(source, chain((4, 4), normalise=True, seed=1), inertia=3)
    grown = jax.tree.map(lambda a, b: np.unique(np.round(a / b, 4)).tolist(), made, source.params)
    assert grown == {
        "conv0": {"kernel": [1], "bias": [1]},
        "conv1": {"kernel": [3], "bias": [3], "mean": [3], "var": [9], "scale": [1], "shift": [1]},
        "head": {"kernel": [1], "bias": [1]},
    }


def test_the_report_says_what_grows():
    source, target = chain((4, 4), normalise=True), chain((4, 6), normalise=True, seed=1)
    report = transfer.report(transfer.align(source, target), inertia=3)
    assert {entry.target: entry.factor for entry in report.entries if entry.factor != 1} == {
        "conv1/kernel": 3, "conv1/bias": 3, "conv1/mean": 3, "conv1/var": 9
    }  # fmt: skip
    assert "padded, 9 times as large" in str(report)
    assert "times" not in str(transfer.report(transfer.align(source, target)))


def test_what_the_target_has_beyond_the_source_does_not_grow():
    source, target = chain((4, 4), normalise=True), chain((4, 6), normalise=True, seed=1)
    kernel = np.asarray(filled(source, target, inertia=3)["conv1"]["kernel"])
    np.testing.assert_array_equal(kernel[..., [0, 5]], target.params["conv1"]["kernel"][..., [0, 5]])
    np.testing.assert_allclose(kernel[..., 1:5], 3 * source.params["conv1"]["kernel"], rtol=1e-6)


@pytest.mark.parametrize("kind", ["sum", "ReLU", "read elsewhere", "twice"])
def test_a_kernel_whose_size_matters_stays_as_it_is(kind):
    source, target = normalised(kind), normalised(kind, 1)
    made = filled(source, target, inertia=4, guard=0)
    assert all(np.array_equal(made[name], source.params[name]) for name in made)
    assert not np.array_equal(
        filled(normalised("plain"), normalised("plain", 1), inertia=4)["kernel"], normalised("plain").params["kernel"]
    )


def test_without_statistics_nothing_grows():
    source, target = chain((4, 4), normalise=True), as_trainable(chain((4, 4), normalise=True, seed=1))
    params, state = target.init(jax.random.key(0))
    alignment = transfer.align(source, target)
    plain, asked = (transfer.copy_weights(alignment, source.params, params, inertia=c) for c in (1, 4))
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(asked), strict=True))
    whole = transfer.copy_weights(alignment, source.params, {"params": params, "state": state}, inertia=4)
    np.testing.assert_allclose(whole["params"]["conv1"]["kernel"], 4 * plain["conv1"]["kernel"], rtol=1e-6)


@pytest.mark.parametrize(("optimizer", "power"), [(optax.adam(1e-4), 1), (optax.sgd(1e-4), 2)])
def test_a_step_turns_an_enlarged_kernel_less(optimizer, power):
    network = chain((4, 4), normalise=True)

    def turned(inertia: float) -> float:
        params = filled(network, network, inertia=inertia)
        kernel = params["conv1"]["kernel"]

        def loss(kernel):
            y = jax.lax.conv_general_dilated(
                INPUTS[..., :1] * jnp.ones(4), kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            y = (y - y.mean((0, 1, 2))) * jax.lax.rsqrt(y.var((0, 1, 2)) + 1e-5)
            return (jax.nn.relu(y) * jnp.arange(4.0)).mean((1, 2)).std()

        update, _ = optimizer.update(jax.grad(loss)(kernel), optimizer.init(kernel))
        return float(jnp.linalg.norm(update) / jnp.linalg.norm(kernel))

    assert turned(1.0) / turned(4.0) == pytest.approx(4**power, rel=0.02)


@pytest.mark.parametrize("inertia", [0.5, -1, float("nan"), float("inf"), 1001, True, "2", None])
def test_a_wrong_inertia_is_named(inertia):
    network = chain((4, 4))
    with pytest.raises(ValueError, match="copy_weights: inertia is"):
        filled(network, network, inertia=inertia)
