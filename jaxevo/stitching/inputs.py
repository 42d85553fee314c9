"""One canonical input for two parents: what turns the first parent's pictures into the second's."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.network import Convention, Network

PyTree = Any


def adapter(canonical: Network, parent: Network) -> Callable[[PyTree], PyTree]:
    """Returns the function from a batch as `canonical` takes it to one as `parent` takes it.

    Args:
      canonical: the network whose inputs the merged network takes.
      parent: one of its parents.

    Returns:
      A pure function; the identity where both take the same.

    Raises:
      ValueError: where no change of layout, mean and scale makes the inputs the same.
    """
    one, other = canonical.convention, parent.convention
    if one == other or one is None or other is None:
        _same(canonical, parent, canonical.inputs)
        return lambda inputs: inputs
    convert = _conversion(one, other)
    _same(canonical, parent, _description(convert, canonical.inputs))
    return lambda inputs: jax.tree.map(convert, inputs)


def _conversion(one: Convention, other: Convention):
    def convert(x):
        pixels = x if one.layout == "HWC" else jnp.moveaxis(x, -3, -1)
        pixels = pixels * np.array(one.scale, np.float32) + np.array(one.mean, np.float32)
        ready = (pixels - np.array(other.mean, np.float32)) / np.array(other.scale, np.float32)
        return ready if other.layout == "HWC" else jnp.moveaxis(ready, -1, -3)

    return convert


def _description(convert, inputs):
    batch = jax.tree.map(lambda s: jax.ShapeDtypeStruct((1, *s.shape), s.dtype), inputs)
    made = jax.eval_shape(lambda x: jax.tree.map(convert, x), batch)
    return jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape[1:], s.dtype), made)


def _same(canonical, parent, inputs):
    came, wanted = jax.tree.map(_text, inputs), jax.tree.map(_text, parent.inputs)
    if came != wanted:
        raise ValueError(
            f"stitch: {parent.name!r} takes inputs {wanted}, but {canonical.name!r} gives it {came}; both parents "
            "must take inputs of one size; set their conventions where only layout, mean or scale differ"
        )


def _text(s):
    return f"{np.dtype(s.dtype).name}{list(s.shape)}"
