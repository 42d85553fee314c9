"""One canonical input for all parents: what turns the first parent's pictures into another's."""

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
      A pure function; the identity where both take the same. Pictures of another size are resized linearly.

    Raises:
      ValueError: where no change of layout, mean, scale and size makes the inputs the same, or one of the two does not
        say how its inputs are prepared.
    """
    one, other = canonical.convention, parent.convention
    if one is None or other is None or (one == other and canonical.inputs == parent.inputs):
        _same(canonical, parent, canonical.inputs)
        if (one is None) != (other is None):
            with_one, without = (canonical, parent) if other is None else (parent, canonical)
            raise ValueError(
                f"stitch: {with_one.name!r} says how its pictures are prepared ({with_one.convention}) and "
                f"{without.name!r} does not; give both a convention, or neither where they take the same numbers: "
                "dataclasses.replace(network, convention=...)"
            )
        return lambda inputs: inputs
    convert = _conversion(one, other, parent.inputs)
    _same(canonical, parent, _description(convert, canonical.inputs))
    return lambda inputs: jax.tree.map(convert, inputs)


def _conversion(one: Convention, other: Convention, wanted: PyTree):
    shapes = {leaf.shape for leaf in jax.tree.leaves(wanted)}
    shape = shapes.pop() if len(shapes) == 1 else ()
    size = (shape[:2] if other.layout == "HWC" else shape[1:]) if len(shape) == 3 else None

    def convert(x):
        pixels = x if one.layout == "HWC" else jnp.moveaxis(x, -3, -1)
        if size is not None and pixels.ndim == 4 and pixels.shape[1:3] != size:
            pixels = jax.image.resize(pixels, (pixels.shape[0], *size, pixels.shape[-1]), "linear")
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
            f"stitch: {parent.name!r} takes inputs {wanted}, but {canonical.name!r} gives it {came}; all parents "
            "must take the same inputs; set their conventions where layout, mean, scale or the pictures' size differ"
        )


def _text(s):
    return f"{np.dtype(s.dtype).name}{list(s.shape)}"
