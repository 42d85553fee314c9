"""How one tensor becomes another of a different size.

All transforms take a source and a target of as many axes, of which the first `outs` are outputs and the others are
summed over (inputs and space; a bias has outputs only), and return an array like the target. Along each axis the middle
of the longer one meets the whole of the shorter one, so that channels that correspond in one layer do so in all.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from jaxevo.graph.grids import Grid

#: `(source, target, outs) -> array like target`.
Transform = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def clip(source: np.ndarray, target: np.ndarray, outs: int) -> np.ndarray:  # noqa: ARG001
    """Crops or pads each axis at its middle; what the source does not fill keeps the target's own numbers.

    The transform of arXiv 2212.13970.

    Args:
      source: the tensor that is copied.
      target: the tensor that it becomes like.
      outs: number of leading axes that are outputs; not used.

    Returns:
      An array like the target.
    """
    taken, filled = middles(source.shape, target.shape)
    made = target.copy()
    made[filled] = source[taken]
    return made


def preserve(source: np.ndarray, target: np.ndarray, outs: int) -> np.ndarray:
    """Clips so that each copied output stays what it was, as far as it can.

    Inputs that the source does not have get weight 0 in the copied outputs, so that these compute what they did; the
    new outputs keep the target's own numbers. Where inputs are cut off, the rest is scaled up so that the mean square
    of each layer's copied outputs stays as it was, for inputs of equal and independent variance.

    Args:
      source: the tensor that is copied.
      target: the tensor that it becomes like.
      outs: number of leading axes that are outputs.

    Returns:
      An array like the target.
    """
    if source.shape == target.shape:
        return source.copy()
    taken, filled = middles(source.shape, target.shape)
    piece = source[taken]
    if piece.shape[outs:] != source.shape[outs:]:
        before, after = _energy(source[taken[:outs]]), _energy(piece)
        piece = piece * np.asarray(math.sqrt(before / after) if after > 0 else 1.0, piece.dtype)
    made = target.copy()
    made[filled[:outs]] = 0
    made[filled] = piece
    return made


def magnitude(source: np.ndarray, target: np.ndarray, outs: int) -> np.ndarray:
    """Keeps, along each axis that is too long, the slices of the greatest magnitude, and pads as `clip` does.

    Args:
      source, target, outs: as in `clip`.

    Returns:
      An array like the target.
    """
    for axis, length in enumerate(target.shape):
        if source.shape[axis] > length:
            others = tuple(i for i in range(source.ndim) if i != axis)
            order = np.argsort(-np.abs(source).sum(axis=others), kind="stable")[:length]
            source = np.take(source, np.sort(order), axis=axis)
    return clip(source, target, outs)


def regrouped(transform: Transform, source: np.ndarray, target: np.ndarray, groups: tuple[int, int]) -> np.ndarray:
    """Transforms kernels [outputs, inputs of one group, *space] of different numbers of groups.

    Both become kernels of one group, blocks on a diagonal of zeros, and the blocks of the target's groups are kept.

    Args:
      transform: what makes one kernel from another.
      source, target: the kernels.
      groups: of source and target.

    Returns:
      An array like the target.
    """
    dense = transform(_dense(source, groups[0]), _dense(target, groups[1]), 1)
    rows = np.arange(len(target)) // (len(target) // groups[1])
    columns = rows[:, None] * target.shape[1] + np.arange(target.shape[1])
    return dense[np.arange(len(target))[:, None], columns]


def resampled(source: np.ndarray, length: int, grids: tuple[Grid | None, Grid | None]) -> tuple[np.ndarray, np.ndarray]:
    """Interpolates position embeddings [tokens, channels] bilinearly from one grid of tokens to another.

    Args:
      source: the embeddings.
      length: number of the target's tokens.
      grids: how the tokens of source and target lie in the picture; None for a sequence, which keeps its beginning.

    Returns:
      Tokens of the target that the source has something for, int [n], and what it has for them, [n, channels of the
      source]; class tokens keep theirs.
    """
    come, go = grids
    if come is None or go is None:
        shared = min(len(source), length)
        return np.arange(shared), source[:shared]
    picture = source[come.tokens].reshape(come.height, come.width, -1).astype(np.float32)
    factors = (go.height / come.height, go.width / come.width, 1)
    between: np.ndarray = np.asarray(ndimage.zoom(picture, factors, order=1, mode="nearest", grid_mode=True))
    first = min(come.first, go.first)
    rows = np.concatenate([np.arange(first), np.arange(length)[go.tokens]])
    return rows, np.concatenate([source[:first], between.reshape(-1, source.shape[1]).astype(source.dtype)])


def middles(come: tuple[int, ...], go: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Returns what is taken of the source and where it goes in the target, the middle of each axis."""
    taken, filled = [], []
    for a, b in zip(come, go, strict=True):
        length = min(a, b)
        taken.append(slice((a - length) // 2, (a - length) // 2 + length))
        filled.append(slice((b - length) // 2, (b - length) // 2 + length))
    return tuple(taken), tuple(filled)


def _energy(array: np.ndarray) -> float:
    return float(np.square(array, dtype=np.float64).sum())


def _dense(kernel: np.ndarray, groups: int) -> np.ndarray:
    outputs, inputs = kernel.shape[:2]
    made = np.zeros((outputs, inputs * groups, *kernel.shape[2:]), kernel.dtype)
    rows = np.arange(outputs)
    columns = (rows // (outputs // groups))[:, None] * inputs + np.arange(inputs)
    made[rows[:, None], columns] = kernel
    return made
