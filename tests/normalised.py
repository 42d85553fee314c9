"""Networks with batch normalisation of every library, and an offspring of two of them."""

import functools

import equinox as eqx
import jax
import numpy as np
from flax import linen as nn
from flax import nnx

from jaxevo import stitching
from jaxevo.data import Split
from jaxevo.graph import trace
from jaxevo.interop import from_equinox, from_flax, from_nnx
from tests.networks import pictures


class Linen(nn.Module):
    """Two normalised convolutions, a layer normalisation and a normalised vector."""

    momentum: float = 0.0

    @nn.compact
    def __call__(self, x, train: bool = False):
        norm = functools.partial(nn.BatchNorm, use_running_average=not train, momentum=self.momentum)
        x = nn.relu(norm()(nn.Conv(8, (3, 3), strides=2)(x)))
        x = nn.relu(norm(use_scale=False)(nn.LayerNorm()(nn.Conv(8, (3, 3))(x))))
        return nn.Dense(3)(norm(use_bias=False)(nn.Dense(6)(x.mean((1, 2)))))


class Nnx(nnx.Module):
    """A normalised convolution."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.head = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.relu(self.norm(self.conv(x))).mean((1, 2)))


class Equinox(eqx.Module):
    """A normalised convolution, channels first."""

    conv: eqx.nn.Conv2d
    norm: eqx.nn.BatchNorm
    head: eqx.nn.Linear

    def __init__(self, key, mode):
        self.conv = eqx.nn.Conv2d(3, 4, 3, key=key)
        self.norm = eqx.nn.BatchNorm(4, "batch", mode=mode)
        self.head = eqx.nn.Linear(4, 3, key=key)

    def __call__(self, x, state):
        x, state = self.norm(self.conv(x), state)
        return self.head(jax.nn.relu(x).mean((1, 2))), state


def linen(seed: int = 0, name: str = "linen"):
    """The module, its variables with drawn statistics, and the network."""
    module = Linen()
    variables = module.init(jax.random.key(seed), pictures(0, 1))
    rng = np.random.default_rng(seed)
    # Statistics of layers that nobody has trained are all 0 and 1, which would hide a mistake.
    drawn = jax.tree.map(lambda leaf: np.float32(rng.uniform(0.5, 1.5, leaf.shape)), variables["batch_stats"])
    variables = {**variables, "batch_stats": drawn}
    return module, variables, from_flax(module, variables, pictures(0, 1), name=name)


def from_nnx_module():
    """The NNX network."""
    return from_nnx(Nnx(nnx.Rngs(0)), pictures(0, 1))


def equinox(mode: str):
    """The network, with drawn statistics; in mode "batch" as after three steps of training."""
    module, state = eqx.nn.make_with_state(Equinox)(jax.random.key(0), mode)
    drawn = tuple(jax.numpy.asarray(np.random.default_rng(0).uniform(0.5, 1.5, 4), np.float32) for _ in range(2))
    if mode == "batch":
        state = state.set(module.norm.batch_counter, jax.numpy.asarray(3))
    state = state.set(module.norm.batch_state_index if mode == "batch" else module.norm.ema_state_index, drawn)
    return from_equinox(module, pictures(0, 2).transpose(0, 3, 1, 2), state)


@functools.cache
def offspring():
    """An extracted network that begins with one Linen network and ends with another."""
    parents = [linen(seed, name)[2] for seed, name in enumerate("ab")]
    merged = stitching.stitch(jax.random.key(0), stitching.match(*map(trace, parents)))
    space = stitching.switches(merged, probability=0.5)
    genomes = np.asarray(space.sample(jax.random.key(1), 32))
    children = (space.decode(space.params, genome) for genome in genomes if genome[-1] < 2)
    return next(child for child in children if {"a", "b"} <= {path[0] for path in trace(child).paths if "mean" in path})


def split(count: int = 64) -> Split:
    """Random pictures with labels that can be learned: which of three rows is the brightest."""
    inputs = pictures(9, count)
    labels = inputs[:, :3].mean((2, 3)).argmax(1).astype(np.int32)
    return Split(inputs, labels)
