"""Members without what their genomes leave out, their optimisers' states included; and which of them look alike."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxevo.network import Member, PyTree
from jaxevo.space import Learning
from jaxevo.training.owners import changed


def compacted(learning: Learning, member: Member) -> Member:
    """Cuts a member, and what its optimiser remembers of the parameters, to what its genome uses.

    Args:
      learning: of the member's space, with a `compact`.
      member: arrays on the host.
    """
    assert learning.compact is not None
    compact = learning.compact

    def cut(tree: PyTree) -> PyTree:
        return compact(member._replace(params=tree)).params

    return compact(member)._replace(optimizer_state=changed(member.params, member.optimizer_state, cut))


def expanded(learning: Learning, small: Member, member: Member) -> Member:
    """Puts a compacted member back, and what its optimiser remembers of the parameters.

    Args:
      learning: of the member's space, with an `expand`.
      small: the compacted member, as training has left it.
      member: the one that it was cut from.
    """
    assert learning.expand is not None
    expand = learning.expand

    def paste(tree: PyTree) -> PyTree:
        return expand(small._replace(params=tree), member).params

    return expand(small, member)._replace(optimizer_state=changed(small.params, small.optimizer_state, paste))


def alike(members: Sequence[Member]) -> dict[Any, list[int]]:
    """Groups members that agree in structure and shapes; returns by looks their indices, first come, first named."""
    groups: dict[Any, list[int]] = {}
    for index, member in enumerate(members):
        leaves, structure = jax.tree.flatten(member)
        looks = (structure, tuple((np.shape(leaf), np.dtype(leaf.dtype).str) for leaf in leaves))
        groups.setdefault(looks, []).append(index)
    return groups
