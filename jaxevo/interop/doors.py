"""What every door checks: that a network runs on its example, batch axis first, and that its classes fit."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxevo.network import Output, PyTree, batched, spec


class Facts(NamedTuple):
    """What a door found out about a network.

    inputs: the inputs of one example, as `Network.inputs`.
    classes: names of the classes, or None.
    """

    inputs: PyTree
    classes: tuple[str, ...] | None


def describe(
    where: str,
    apply: Callable[[PyTree, PyTree], PyTree],
    params: PyTree,
    example: PyTree,
    output: Output,
    classes: Sequence[str] | None,
) -> Facts:
    """Runs a network abstractly on a batch like `example`, without compiling anything.

    Args:
      where: the door, the start of every message.
      apply: `(params, inputs) -> outputs`.
      params: its parameters.
      example: pytree of arrays or `ShapeDtypeStruct`s [B, ...].
      output: kind of its outputs.
      classes: names of the classes, or None.

    Raises:
      TypeError: where classes is a string or holds anything but names.
      ValueError: where the network does not run, its outputs lack the batch axis, or classes and outputs disagree.
    """
    if classes is not None and (isinstance(classes, str) or not all(isinstance(c, str) for c in classes)):
        raise TypeError(f"{where}: classes is {classes!r}, expected a sequence of names")
    inputs = spec(example)
    sizes = {int(np.shape(leaf)[0]) for leaf in jax.tree.leaves(example)}
    # Three rows at least, so that a batch axis is not mistaken for an axis of length one.
    size = max(3, *sizes)
    try:
        outputs = jax.eval_shape(apply, params, batched(inputs, size))
    except Exception as error:
        shapes = [list(leaf.shape) for leaf in jax.tree.leaves(batched(inputs, size))]
        raise ValueError(
            f"{where}: the network does not run on inputs of shape {shapes}: {error}; "
            "check the example's shape and dtype, the parameters and the keyword arguments of the call"
        ) from error
    for leaf in jax.tree.leaves(outputs):
        if not leaf.shape or leaf.shape[0] != size:
            raise ValueError(
                f"{where}: outputs have shape {list(leaf.shape)} for a batch of {size}, "
                "expected the batch as leading axis"
            )
    if classes is not None and output != "values":
        widths = {leaf.shape[-1] for leaf in jax.tree.leaves(outputs)}
        if widths != {len(classes)}:
            raise ValueError(
                f"{where}: classes has {len(classes)} names, but the last axis of the outputs has length "
                f"{sorted(widths)}; name every class once"
            )
    return Facts(inputs, None if classes is None else tuple(classes))


def check_arrays(where: str, params: PyTree, wanted: PyTree) -> None:
    """Raises ValueError, starting with `where`, unless both trees hold arrays of the same names, shapes and dtypes."""
    came, expected = (
        {jax.tree_util.keystr(path): (tuple(leaf.shape), str(leaf.dtype)) for path, leaf in leaves}
        for leaves in (jax.tree_util.tree_leaves_with_path(params), jax.tree_util.tree_leaves_with_path(wanted))
    )
    differ = sorted(path for path in came.keys() | expected.keys() if came.get(path) != expected.get(path))
    if differ:
        raise ValueError(
            f"{where}: the network's parameters do not fit the module at {differ[0]}: the network has "
            f"{came.get(differ[0], 'none')}, the module {expected.get(differ[0], 'none')}; "
            "pass the module that came in, and only a network whose structure is unchanged"
        )
