"""Networks that came in by any door are read as graphs that replay bit for bit (rule 1)."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments import zoo
from jaxevo import from_equinox, from_nnx, trace
from jaxevo.network import batched


class Attentive(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 8, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.scale = nnx.LayerNorm(8, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs)
        self.head = nnx.Linear(8, 4, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.norm(self.conv(x)))
        tokens = x.reshape(x.shape[0], -1, 8)
        tokens = tokens + self.attention(self.scale(tokens))
        return self.head(tokens.mean(1))


class Recurrent(eqx.Module):
    conv: eqx.nn.Conv2d
    cell: eqx.nn.GRUCell
    head: eqx.nn.Linear

    def __init__(self, key):
        first, second, third = jax.random.split(key, 3)
        self.conv = eqx.nn.Conv2d(3, 4, 3, padding=1, key=first)
        self.cell = eqx.nn.GRUCell(4 * 8, 6, key=second)
        self.head = eqx.nn.Linear(6, 4, key=third)

    def __call__(self, x):
        rows = jnp.moveaxis(jax.nn.relu(self.conv(x)), 1, 0).reshape(8, -1)
        last, _ = jax.lax.scan(lambda hidden, row: (self.cell(row, hidden), None), jnp.zeros(6), rows)
        return self.head(last)


def _linen(family):
    trainable = zoo.build(family, (16, 16, 3), 4)
    return trainable.network(*trainable.init(jax.random.key(0)))


NETWORKS = {
    **{f"linen {family}": lambda family=family: _linen(family) for family in zoo.FAMILIES},
    "nnx attention": lambda: from_nnx(Attentive(nnx.Rngs(0)), np.zeros((1, 8, 8, 3), np.float32)),
    "equinox recurrent": lambda: from_equinox(Recurrent(jax.random.key(1)), np.zeros((1, 3, 8, 8), np.float32)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_replays_bit_for_bit_and_has_cuts_of_a_known_kind(name):
    network = NETWORKS[name]()
    graph = trace(network)
    x = jax.random.normal(jax.random.key(2), batched(network.inputs, 3).shape)
    assert np.array_equal(jax.jit(graph.replay)(network.params, x), network(x))
    assert graph.cuts[-1].feature.kind == ("map" if "deeplab" in name else "vector")
    assert graph.parameters == sum(np.size(leaf) for leaf in jax.tree.leaves(network.params))
