"""Folded networks agree with what they were, with fewer parameters and no normalisation left."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings

from jaxevo import from_flax
from jaxevo.graph import accelerate, batch_normalisations, fold, trace
from jaxevo.network import Network, spec
from tests.graph.test_acceleration import agree
from tests.networks import networks, pictures


class _Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.BatchNorm(use_running_average=True)(nn.Conv(8, (3, 3), 2)(x)))
        x = nn.BatchNorm(use_running_average=True)(nn.Conv(8, (3, 3), feature_group_count=8, use_bias=False)(x))
        return nn.BatchNorm(use_running_average=True)(nn.Dense(3)(x.mean((1, 2))))


def normalised():
    module, x = _Net(), np.zeros((1, 8, 8, 3), np.float32)
    variables = module.init(jax.random.key(0), x)
    keys = iter(jax.random.split(jax.random.key(1), 32))
    # Numbers that normalise: variances above zero, nothing left at its initial value.
    drawn = jax.tree.map(lambda leaf: leaf + 0.5 * jax.random.uniform(next(keys), leaf.shape), variables)
    return from_flax(module, drawn, x)


def test_normalisations_and_biases_fold_into_convolutions_and_products():
    network, x = normalised(), pictures(0, 5)
    folded = fold(network)
    assert len(batch_normalisations(trace(network))) == 3
    assert not batch_normalisations(trace(folded))
    assert folded.params["kept"] == {}
    assert [set(one) for one in folded.params["folded"].values()] == [{"kernel", "bias"}] * 3
    assert agree(folded(x), network(x))
    assert agree(accelerate(folded, "cpu")(x), network(x))


@settings(max_examples=4, deadline=None)
@given(networks())
def test_folding_drawn_networks_changes_nothing_but_rounding(network):
    x = pictures(0, 3)
    assert agree(fold(network)(x), network(x))


def test_what_is_read_twice_or_differs_by_place_is_left_alone():
    def apply(params, x):
        y = x @ params["tied"]
        z = (y * params["scale"] - 1) / 2 @ params["tied"]
        return 3 - z + y, jnp.tanh(z) + y[:, :1]

    params = {"tied": jnp.eye(4) + 0.1, "scale": jnp.arange(1.0, 5.0)}
    network = Network(apply, params, spec(np.zeros((1, 4), np.float32)))
    x = np.asarray(jax.random.normal(jax.random.key(0), (5, 4)))
    folded = fold(network)
    for got, expected in zip(folded(x), network(x), strict=True):
        assert agree(got, expected)
    positions = Network(
        lambda p, x: (jnp.einsum("bsc,cd->bsd", x, p["kernel"]) + p["places"]).sum(1),
        {"kernel": jnp.eye(3), "places": jnp.arange(12.0).reshape(4, 3)},
        spec(np.zeros((1, 4, 3), np.float32)),
    )
    assert fold(positions).params["folded"] == {}


def test_folded_weights_are_arguments_and_have_gradients():
    folded, x = fold(normalised()), pictures(0, 5)
    gradients = jax.jit(jax.grad(lambda params: (folded.apply(params, x) ** 2).sum()))(folded.params)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradients))
