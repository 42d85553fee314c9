"""Batch normalisations are found by their equations, in networks of every library, and nothing else is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo.graph import batch_normalisations, trace
from jaxevo.network import Network, spec
from tests.networks import KINDS, build
from tests.normalised import equinox, from_nnx_module, linen, offspring


def names(network):
    """Paths of mean and variance of each normalisation, and the axes that have statistics."""
    graph = trace(network)
    found = batch_normalisations(graph)
    return [(graph.paths[one.mean.leaf], graph.paths[one.variance.leaf], one.axes) for one in found]


@pytest.mark.smoke
def test_those_of_linen_are_found_in_order_and_layer_normalisations_are_not():
    stats = [f"batch_stats/BatchNorm_{i}" for i in range(3)]
    axes = [(3,), (3,), (1,)]
    assert names(linen()[2]) == [(f"{s}/mean", f"{s}/var", a) for s, a in zip(stats, axes, strict=True)]


def test_those_of_nnx_and_equinox_are_found():
    assert names(from_nnx_module()) == [("norm/mean", "norm/var", (3,))]
    for mode in ("ema", "batch"):
        assert names(equinox(mode)) == [("state/1/0", "state/1/1", (1,))]


def test_those_of_an_offspring_of_two_networks_are_found():
    found = names(offspring())
    assert {path[0] for path, *_ in found} == {"a", "b"}
    assert all("batch_stats" in mean and "batch_stats" in variance for mean, variance, _ in found)


@pytest.mark.parametrize("kind", KINDS)
def test_networks_without_stored_statistics_have_none(kind):
    assert names(build(0, 4, (kind,))) == []


def written(normalise, axis=-1, size=4):
    """A network that normalises its inputs [B, 4, 4, 4] by `normalise(x, mean, variance, scale)`."""
    params = {"mean": np.zeros(size, np.float32), "scale": np.ones(size, np.float32), "var": np.ones(size, np.float32)}

    def apply(params, inputs):
        shape = [1] * 4
        shape[axis] = size
        return normalise(inputs, *(params[name].reshape(shape) for name in ("mean", "var", "scale")))

    return Network(apply, params, spec(np.zeros((1, 4, 4, 4), np.float32)))


@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize(
    "normalise",
    [
        lambda x, m, v, s: (x - m) * jax.lax.rsqrt(v + 1e-3) * s,
        lambda x, m, v, s: s * ((x - m) / jnp.sqrt(v + 1e-3)),
        lambda x, m, v, s: (x - m) * (s / jnp.sqrt(1e-3 + v)),
        lambda x, m, v, s: (x - m) * s * jax.lax.rsqrt(jnp.maximum(v, 1e-3)),
        lambda x, m, v, s: jax.jit(lambda a: (a.astype(jnp.float32) - m) * jax.lax.rsqrt(v + 1e-3))(
            x.astype(jnp.bfloat16)
        ),
    ],
)
def test_the_ways_to_write_one_are_recognised_with_their_axis(normalise, axis):
    assert names(written(normalise, axis)) == [("mean", "var", (axis,))]


@pytest.mark.parametrize(
    "normalise",
    [
        lambda x, m, v, s: (x - m) * s,
        lambda x, m, v, s: (x - m) / (v + 1e-3),
        lambda x, m, v, s: (m - x) * jax.lax.rsqrt(v + 1e-3),
        lambda x, m, v, s: (x - m) * jax.lax.rsqrt(x.var() + 1e-3),
        lambda x, m, v, s: (x - x.mean((1, 2, 3), keepdims=True)) * jax.lax.rsqrt(v + 1e-3),
        lambda x, m, v, s: (x - (m + s)) * jax.lax.rsqrt(v + 1e-3),
        lambda x, m, v, s: jnp.tanh(x - m) * jax.lax.rsqrt(v + 1e-3),
    ],
)
def test_what_only_looks_like_one_is_left_out(normalise):
    assert names(written(normalise)) == []


def test_other_things_than_graphs_are_refused():
    with pytest.raises(TypeError, match="batch_normalisations: graph is a Network, expected a NetworkGraph"):
        batch_normalisations(linen()[2])
