"""`Piece`: a part of a network between features, that can be run alone."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax

from jaxevo.graph.cost import multiply_adds
from jaxevo.graph.program import run_equations
from jaxevo.graph.tracing import TRACED, NetworkGraph, check_graph

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Piece:
    """A part of a network between features, that can be run alone at any batch size.

    graph: the network.
    reads: numbers of the values that it takes.
    writes: numbers of the values that it returns.
    equations: indices of its equations, folded ones included.
    parameters: numbers of the parameter leaves that it reads.
    """

    graph: NetworkGraph
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    equations: tuple[int, ...]
    parameters: tuple[int, ...]

    @functools.cached_property
    def multiply_adds(self) -> int:
        """Multiply-adds for one example."""
        return multiply_adds(self.graph.program, list(self.equations)) // TRACED

    def select(self, params: PyTree) -> dict[str, jax.Array]:
        """Picks the leaves that `apply` takes from the network's parameters, by path."""
        leaves = jax.tree.leaves(params)
        return {self.graph.paths[i]: leaves[i] for i in self.parameters}

    def apply(
        self,
        leaves: Mapping[str, jax.Array],
        *values: jax.Array,
        overrides: Mapping[int, Callable[..., list]] | None = None,
    ) -> list:
        """Runs the piece.

        Args:
          leaves: as `select` returns them; one that an override makes superfluous may be missing.
          *values: the values it reads, with a batch axis each.
          overrides: as in `run_equations`.

        Returns:
          The values it writes.
        """
        axes = [self.graph.features[number].batch for number in self.reads]
        batch = next(v.shape[axis] for v, axis in zip(values, axes, strict=True) if axis is not None)
        program = self.graph.at(batch)
        known = dict(program.constants)
        known.update({i: leaves[self.graph.paths[i]] for i in self.parameters if self.graph.paths[i] in leaves})
        known.update(zip(self.reads, values, strict=True))
        found = run_equations([program.equations[i] for i in self.equations], known, overrides)
        return [found[number] for number in self.writes]


def piece(graph: NetworkGraph, reads: tuple[int, ...], writes: tuple[int, ...]) -> Piece:
    """Takes the part of a network that computes some of its values from others.

    Args:
      graph: the network.
      reads: numbers of the values that the piece takes.
      writes: numbers of the values that it returns.

    Returns:
      The piece.

    Raises:
      TypeError: where graph is no `NetworkGraph`, or reads or writes are no numbers of values.
      ValueError: where `writes` cannot be computed from `reads` and the parameters alone.
    """
    check_graph("piece", "graph", graph)
    program = graph.program
    for name, values in (("reads", reads), ("writes", writes)):
        known = isinstance(values, tuple) and all(v in range(len(program.avals)) for v in values)
        if not known or not values:
            raise TypeError(
                f"piece: {name} is {values!r}, expected a tuple of numbers of values of {graph.name!r}, "
                f"0 to {len(program.avals) - 1}; take them from its cuts, program.inputs or program.outputs"
            )
    needed, stack, leaves = set(), list(writes), set()
    while stack:
        value = stack.pop()
        if value in reads:
            continue
        if value in program.inputs:
            raise ValueError(
                f"piece: values {writes} of {graph.name!r} depend on the network's inputs by a way around {reads}; "
                "read at a cut of the graph"
            )
        if value < program.leaves:
            leaves.add(value)
        elif value in program.producer and program.producer[value] not in needed:
            needed.add(program.producer[value])
            stack.extend(v for v in program.equations[program.producer[value]].reads if v is not None)
    return Piece(graph, tuple(reads), tuple(writes), tuple(sorted(needed)), tuple(sorted(leaves)))
