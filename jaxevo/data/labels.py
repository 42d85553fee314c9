"""Labels of three kinds: a class for each example, a map of classes, and values; which count and what they fit.

Whole numbers are classes: [N] for outputs [N, C], or maps [N, ...] with a class for each position of outputs
[N, ..., C]. Floating numbers are values, of the shape of the outputs. N is the number of examples, C that of classes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

#: Label of the positions of a map that count nowhere, neither in a metric nor in a loss.
IGNORED = -1


def counted(labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Returns which labels count: those of the examples that count, but not the positions that are `IGNORED`.

    Args:
      labels: classes [B] or [B, ...], or values.
      mask: bool [B], which examples count.

    Returns:
      Bool, of the shape of the labels.
    """
    rows = jnp.broadcast_to(mask.reshape(-1, *[1] * (labels.ndim - 1)), labels.shape)
    return rows & (labels >= 0) if are_classes(labels) else rows


def are_classes(labels: Any) -> bool:
    """Returns whether labels are numbers of classes rather than values."""
    return np.issubdtype(labels.dtype, np.integer)


def are_maps(labels: Any) -> bool:
    """Returns whether labels lie on positions that move with those of the inputs: class maps and maps of values."""
    return labels.ndim > (1 if are_classes(labels) else 2)


def check_classes(where: str, labels: Any, outputs: tuple[int, ...]) -> None:
    """Raises ValueError unless labels are classes for outputs of that shape, batch axis first.

    Args:
      where: whose argument they are and what it is called, the start of the message.
      labels: array or `ShapeDtypeStruct`.
      outputs: shape of the outputs; its batch size does not count.
    """
    space = outputs[1:-1]
    what = "class of each position" if space else "class of each example"
    if not are_classes(labels) or tuple(labels.shape[1:]) != space or not labels.ndim:
        raise ValueError(
            f"{where} are {labels.dtype} {list(labels.shape)}, expected whole numbers {_shape('N', space)} for outputs "
            f"{_shape('N', outputs[1:])}; give the number of the {what}"
        )


def _check_range(where: str, labels: np.ndarray, classes: int) -> None:
    """Raises ValueError where labels are of classes that networks do not have, or nothing of maps counts.

    Args:
      where: whose argument they are and what it is called, the start of the message.
      labels: classes or maps of classes, at least one.
      classes: how many the networks have.
    """
    maps = labels.ndim > 1
    if labels.min() < (IGNORED if maps else 0) or labels.max() >= classes:
        also = f", or {IGNORED} where nothing counts" if maps else ""
        raise ValueError(
            f"{where} lie in [{labels.min()}, {labels.max()}], but the networks have {classes} classes; "
            f"expected labels from 0 to one less{also}"
        )
    if labels.max() == IGNORED:
        raise ValueError(f"{where} are all {IGNORED}, which counts nowhere; expected at least one position that counts")


def check_values(where: str, labels: Any, outputs: tuple[int, ...]) -> None:
    """Raises ValueError unless labels are values for outputs of that shape; [N] also fits outputs [N, 1].

    Args:
      where: whose argument they are and what it is called, the start of the message.
      labels: array or `ShapeDtypeStruct`.
      outputs: shape of the outputs; its batch size does not count.
    """
    fits = tuple(labels.shape[1:]) == outputs[1:] or (labels.ndim == 1 and outputs[1:] == (1,))
    if not np.issubdtype(labels.dtype, np.floating) or not labels.ndim or not fits:
        raise ValueError(
            f"{where} are {labels.dtype} {list(labels.shape)}, expected floating numbers {_shape('N', outputs[1:])}, "
            "one for each number of the outputs"
        )


def check_targets(where: str, labels: np.ndarray, outputs: tuple[int, ...], reads: str = "classes") -> None:
    """Raises ValueError unless all labels of a split fit outputs of that shape, classes out of range included.

    Args:
      where: whose argument they are and what it is called, the start of the message.
      labels: [N, ...], on the host.
      outputs: shape of the outputs; its batch size does not count.
      reads: what the labels have to be, "classes", "values" or "anything".
    """
    if reads == "classes":
        check_classes(where, labels, outputs)
        _check_range(where, labels, outputs[-1])
    elif reads == "values":
        check_values(where, labels, outputs)


def _shape(first: str, rest: tuple[int, ...]) -> str:
    return f"[{', '.join((first, *map(str, rest)))}]"
