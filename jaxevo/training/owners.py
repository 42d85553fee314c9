"""Which arrays of an optimiser's state belong to which parameter, whatever optimisers it is made of."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np

PyTree = Any


def changed(params: PyTree, tree: PyTree, change: Callable[[PyTree], PyTree]) -> PyTree:
    """Changes what an optimiser remembers of parameters as the parameters themselves would be changed.

    An array belongs to the parameter whose path its own path ends with, if it has its shape: `mu["conv"]["kernel"]`
    belongs to `["conv"]["kernel"]`, also where an optimiser knows only some of the parameters.

    Args:
      params: the parameters.
      tree: the optimiser's state.
      change: what is done to a tree like `params`; leaf by leaf, so that no array depends on another.

    Returns:
      The state; what belongs to no parameter comes back as it was.
    """
    known, structure = jax.tree.flatten(params)
    leaves, whole = jax.tree.flatten(tree)
    for group in _owned(structure, tuple(map(np.shape, known)), whole, tuple(map(np.shape, leaves))):
        like = [leaves[group[at]] if at in group else leaf for at, leaf in enumerate(known)]
        moved = jax.tree.leaves(change(jax.tree.unflatten(structure, like)))
        for owner, index in group.items():
            leaves[index] = moved[owner]
    return jax.tree.unflatten(whole, leaves)


# The members of a population are changed again and again.
@functools.lru_cache(maxsize=1024)
def _owned(params: Any, shapes: Sequence[tuple], tree: Any, own: Sequence[tuple]) -> list[dict[int, int]]:
    """Finds which leaves of an optimiser's state belong to which parameter: by parameter the leaf, in groups.

    Args:
      params, shapes: structure of the parameters, and shapes of their leaves.
      tree, own: of the optimiser's state.
    """
    groups: dict[Any, dict[int, int]] = {}
    places = {path: index for index, path in enumerate(_paths(params))}
    for index, path in enumerate(_paths(tree)):
        for start in range(len(path) + 1):
            owner = places.get(path[start:])
            if owner is not None and shapes[owner] == own[index]:
                groups.setdefault(path[:start], {})[owner] = index
                break
    return _joined(groups.values())


def _paths(structure: Any) -> list[Any]:
    numbered = jax.tree.unflatten(structure, range(structure.num_leaves))
    return [path for path, _ in jax.tree_util.tree_leaves_with_path(numbered)]


def _joined(groups: Iterable[dict[int, int]]) -> list[dict[int, int]]:
    """Joins groups of which no two know the same parameter, as those of two networks that have an optimiser each."""
    joined: list[dict[int, int]] = []
    for group in groups:
        room = next((one for one in joined if one.keys().isdisjoint(group)), None)
        if room is None:
            joined.append(dict(group))
        else:
            room.update(group)
    return joined
