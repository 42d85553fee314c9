"""Extents: which part of each array an architecture uses, as one set of indices for each axis.

All architectures share arrays of the largest size. What one of them uses of an array is a product of index sets, such
as the middle of a kernel and its first channels; the rest is zero, and is cut away where a member is compacted.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any


class Extent(NamedTuple):
    """What of an array is used.

    axes: for each axis of the array bool [its length]; may be traced.
    """

    axes: tuple[Any, ...]


class Place(NamedTuple):
    """Where in an array lies what is used of it.

    shape: of the array.
    index: picks what is used, by slices where that is a block, which copies several times as fast.
    """

    shape: tuple[int, ...]
    index: Any


def is_extent(leaf: Any) -> bool:
    """Returns whether it is an extent, where trees of them are mapped over."""
    return isinstance(leaf, Extent)


def extended(function: Any, extents: PyTree, *trees: PyTree) -> PyTree:
    """Maps over a tree of extents and trees of arrays beside it."""
    return jax.tree.map(function, extents, *trees, is_leaf=is_extent)


def mask(extent: Extent) -> Any:
    """Returns which elements are used, bool of the shape of the array."""
    rank = len(extent.axes)
    shaped = [axis.reshape([-1 if i == at else 1 for i in range(rank)]) for at, axis in enumerate(extent.axes)]
    return math.prod(shaped[1:], start=shaped[0]) if shaped else True  # pyright: ignore[reportCallIssue,reportArgumentType]


def cleared(extents: PyTree, tree: PyTree) -> PyTree:
    """Returns a tree of arrays with zeros for what is not used."""

    def clear(extent: Extent, leaf: Any) -> Any:
        used = mask(extent)
        return leaf if used is True else jnp.where(used, leaf, jnp.zeros((), leaf.dtype))

    return extended(clear, extents, tree)


def places(extents: PyTree) -> PyTree:
    """Returns the `Place` of each extent of a tree, none of which may be traced."""
    return extended(_place, extents)


def cut(where: PyTree, tree: PyTree) -> PyTree:
    """Returns a tree of arrays with nothing but what lies at these places, on the host, in memory of its own."""

    def pick(place: Place, leaf: Any) -> np.ndarray:
        return np.array(np.asarray(leaf)[place.index], order="C")

    return jax.tree.map(pick, where, tree, is_leaf=_is_place)


def pasted(where: PyTree, tree: PyTree) -> PyTree:
    """Returns a tree of arrays that were cut from these places, at full size on the host, with zeros elsewhere."""

    def paste(place: Place, leaf: Any) -> np.ndarray:
        whole = np.zeros(place.shape, np.asarray(leaf).dtype)
        whole[place.index] = leaf
        return whole

    return jax.tree.map(paste, where, tree, is_leaf=_is_place)


def sizes(extent: Extent) -> tuple[Any, ...]:
    """Returns how many indices of each axis are used."""
    return tuple(axis.sum() for axis in extent.axes)


def alike(one: Extent, other: Extent) -> Any:
    """Returns whether what is used of two arrays has one shape."""
    pairs = zip(sizes(one), sizes(other), strict=True)
    return math.prod([a == b for a, b in pairs]) == 1


def everything(length: int) -> np.ndarray:
    """Returns the axis of which all is used, bool [length]."""
    return np.ones(length, bool)


def _is_place(leaf: Any) -> bool:
    return isinstance(leaf, Place)


def _place(extent: Extent) -> Place:
    shape, indices = tuple(map(len, extent.axes)), [np.flatnonzero(axis) for axis in extent.axes]
    runs = tuple(slice(index[0], index[-1] + 1) if len(index) else slice(0) for index in indices)
    whole = all(run.stop - (run.start or 0) == len(index) for run, index in zip(runs, indices, strict=True))
    return Place(shape, runs if whole else np.ix_(*indices))
