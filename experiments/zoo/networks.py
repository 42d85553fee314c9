"""Networks of the zoo that nobody has trained: with random weights, or with none, to be read as graphs only."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.zoo.table import build
from jaxevo.network import Network, check_key

_AROUND_ONE, _ZERO = ("scale", "var", "layer_scale"), ("bias", "mean")


def abstract_network(
    name: str, inputs: jax.ShapeDtypeStruct | Sequence[int] | None = None, classes: int = 1000, **sizes: Any
) -> Network:
    """Builds a network whose parameters are shapes: it can be traced, counted and matched, but not run.

    Args:
      name, inputs, classes, **sizes: as in `build`.

    Returns:
      The network; its parameters are a pytree of `jax.ShapeDtypeStruct`.

    Raises:
      ValueError: as `build`.
    """
    trainable = build(name, inputs, classes, **sizes)
    return trainable.network(*jax.eval_shape(trainable.init, jax.random.key(0)))


def random_network(
    key: jax.Array,
    name: str,
    inputs: jax.ShapeDtypeStruct | Sequence[int] | None = None,
    classes: int = 1000,
    **sizes: Any,
) -> Network:
    """Builds a network with random weights, in seconds also where it is large: nothing is compiled.

    Kernels are normal with variance 1 / fan-in, scales and variances lie in [0.5, 1.5], positions and class tokens are
    normal with standard deviation 0.1. Biases and means are 0: nothing normalises as a trained network does, and in
    deep networks they would drown what comes from the inputs.

    Args:
      key: a key.
      name, inputs, classes, **sizes: as in `build`.

    Returns:
      The network.

    Raises:
      TypeError: where key is no key.
      ValueError: as `build`.
    """
    key = check_key("random_network", key)
    network = abstract_network(name, inputs, classes, **sizes)
    # numpy draws the large shapes of a deep network without a compiled program for each.
    generator = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    leaves, structure = jax.tree_util.tree_flatten_with_path(network.params)
    drawn = [_draw(generator, [str(entry.key) for entry in path], leaf.shape) for path, leaf in leaves]
    return dataclasses.replace(network, params=jax.tree.unflatten(structure, drawn))


def _draw(generator: np.random.Generator, path: list[str], shape: tuple[int, ...]) -> jax.Array:
    if path[-1] in _ZERO:
        return jnp.zeros(shape, jnp.float32)
    if path[-1] in _AROUND_ONE:
        return jnp.asarray(generator.random(shape, np.float32) + np.float32(0.5))
    deviation = 0.1
    if path[-1] == "kernel":
        # Attention's kernels into its heads are [width, heads, width of a head].
        into_heads = path[-2] in ("query", "key", "value")
        deviation = 1 / math.sqrt(shape[0] if into_heads else math.prod(shape[:-1]))
    return jnp.asarray(generator.standard_normal(shape, np.float32) * np.float32(deviation))
