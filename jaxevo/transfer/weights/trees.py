"""Trees of parameters as numbered leaves: whole, or the part of them that is learned."""

import dataclasses
from typing import Any

import jax

from jaxevo.graph import NetworkGraph
from jaxevo.graph.tracing import check_params

PyTree = Any

#: The part of a network's parameters that may come alone.
_LEARNED = "params"


@dataclasses.dataclass(frozen=True)
class Leaves:
    """The leaves of a tree of parameters.

    arrays: by number in the network's parameters; those that the tree does not hold are not there.
    structure: of the tree.
    """

    arrays: dict[int, Any]
    structure: Any

    def tree(self, changed: dict[int, Any]) -> PyTree:
        """Returns the tree with some leaves changed."""
        return jax.tree.unflatten(self.structure, [changed.get(n, leaf) for n, leaf in self.arrays.items()])


def leaves_of(where: str, name: str, graph: NetworkGraph, tree: PyTree) -> Leaves:
    """Numbers the leaves of a tree as those of a network's parameters.

    Args:
      where, name: the function and its argument, for messages.
      graph: of the network.
      tree: all its parameters, or what lies under "params" in them.

    Returns:
      The leaves.

    Raises:
      ValueError: where the tree is neither.
    """
    whole = graph.network.params
    wanted, numbers = whole, range(graph.program.leaves)
    part = whole.get(_LEARNED) if hasattr(whole, "get") else None
    if part is not None and jax.tree.structure(tree) == jax.tree.structure(part) != jax.tree.structure(whole):
        prefix = f"{_LEARNED}/"
        wanted, numbers = part, [i for i, path in enumerate(graph.paths) if path.startswith(prefix)]
    check_params(f"{where}: {name}", wanted, tree)
    leaves, structure = jax.tree.flatten(tree)
    return Leaves(dict(zip(numbers, leaves, strict=True)), structure)
