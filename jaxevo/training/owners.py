"""Which arrays of an optimiser's state belong to which parameter, whatever optimisers it is made of."""

from collections.abc import Callable
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
    known, structure = jax.tree_util.tree_flatten_with_path(params)
    found, whole = jax.tree_util.tree_flatten_with_path(tree)
    leaves = [leaf for _, leaf in found]
    groups: dict[Any, dict[int, int]] = {}
    places = {path: index for index, (path, _) in enumerate(known)}
    for index, (path, leaf) in enumerate(found):
        for start in range(len(path) + 1):
            owner = places.get(path[start:])
            if owner is not None and np.shape(known[owner][1]) == np.shape(leaf):
                groups.setdefault(path[:start], {})[owner] = index
                break
    for group in groups.values():
        like = [leaves[group[at]] if at in group else leaf for at, (_, leaf) in enumerate(known)]
        moved = jax.tree.leaves(change(jax.tree.unflatten(structure, like)))
        for owner, index in group.items():
            leaves[index] = moved[owner]
    return jax.tree.unflatten(whole, leaves)
