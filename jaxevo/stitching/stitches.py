"""Stitches: linear maps over channels from a feature of one network to one of another.

`S` and `T` are the channels before and after a stitch, `n` the class tokens that it has to make.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.graph import Feature, NetworkGraph
from jaxevo.stitching import arrangement
from jaxevo.stitching.joints import Pair

PyTree = Any


class Stitch(NamedTuple):
    """A linear map over channels from a feature of one network to one of another.

    name: key of its parameters {"kernel": [S, T], "bias": [T]}, and where it makes class tokens
      {"class_kernel": [S, n, T], "class_bias": [n, T]}.
    pair: index of its pair.
    source, target: index of the network that it reads, and of the one that it feeds.
    reads, makes: the feature that it reads, and the one that it replaces.
    dtype: of the one that it replaces.
    """

    name: str
    pair: int
    source: int
    target: int
    reads: Feature
    makes: Feature
    dtype: np.dtype


def apply_stitch(stitch: Stitch, leaves: PyTree, x: jax.Array) -> jax.Array:
    """Maps a feature through a stitch: laid out like the target, a product over channels, and a bias.

    Class tokens that the source has nothing for are made from its mean over space.

    Args:
      stitch: the stitch.
      leaves: its parameters.
      x: the source, a batch of it.

    Returns:
      The replaced feature.

    Raises:
      ValueError: where x is not a batch of the source.
    """
    source, target = stitch.reads, stitch.makes
    assert target.channel is not None
    if x.shape[1:] != source.shape:
        raise ValueError(f"apply_stitch: x has shape {list(x.shape)}, expected [B, ...] of {source}")
    laid = arrangement.arrange(source, target, x)
    product = jax.lax.dot_general(laid, leaves["kernel"], (((target.channel,), (0,)), ((), ())))
    made = jnp.moveaxis(product + leaves["bias"], -1, target.channel)
    if "class_kernel" in leaves:
        mean = arrangement.summary(source, x)
        tokens = jax.lax.dot_general(mean, leaves["class_kernel"], (((1,), (0,)), ((), ())))
        made = arrangement.with_class_tokens(target, made, tokens + leaves["class_bias"])
    return made.astype(stitch.dtype)


def stitches_of(graphs: Sequence[NetworkGraph], pairs: Sequence[Pair]) -> tuple[Stitch, ...]:
    """Returns two stitches for each pair, from its first network to its second and back."""
    return tuple(_stitch(graphs, pair, index, way) for index, pair in enumerate(pairs) for way in (0, 1))


def drawn(key: jax.Array, stitch: Stitch) -> dict[str, jax.Array]:
    """Draws the parameters of a stitch, kernels with variance 1/S and biases of 0."""
    source, target = stitch.reads.channels, stitch.makes.channels
    tokens = arrangement.class_tokens(stitch.reads, stitch.makes)
    kernels = jax.random.normal(key, (source, 1 + tokens, target)) / np.sqrt(source)
    leaves = {"kernel": kernels[:, 0], "bias": jnp.zeros(target)}
    if tokens:
        leaves |= {"class_kernel": kernels[:, 1:], "class_bias": jnp.zeros((tokens, target))}
    return leaves


def _stitch(graphs, pair: Pair, index: int, way: int) -> Stitch:
    ends, features = pair.parents, (pair.a.feature, pair.b.feature)
    name = f"{index:02d}:{graphs[ends[way]].name}->{graphs[ends[1 - way]].name}"
    made = (pair.b, pair.a)[way].value
    dtype = np.dtype(graphs[ends[1 - way]].program.avals[made].dtype)
    return Stitch(name, index, ends[way], ends[1 - way], features[way], features[1 - way], dtype)
