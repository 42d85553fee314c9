"""A network divided at chosen values into pieces, no two of which compute the same."""

from collections.abc import Container
from typing import Any

import numpy as np

from jaxevo.graph.pieces import Piece, piece
from jaxevo.graph.tracing import NetworkGraph, check_graph


def divide(graph: NetworkGraph, values: tuple[int, ...]) -> tuple[Piece, ...]:
    """Divides a network at values, so that each can be computed from others by a piece of its own.

    Where a value inside is needed by several pieces (a stem that two branches read), it ends a piece as well. A single
    equation with several results that different pieces read is computed in each of them.

    Args:
      graph: the network.
      values: numbers of values that depend on the inputs, such as those of its cuts.

    Returns:
      Pieces that write one value each, in an order in which they can run; the network's outputs are among the values.

    Raises:
      TypeError: where graph is no `NetworkGraph`.
      ValueError: where a value does not depend on the inputs.
    """
    check_graph("divide", "graph", graph)
    _check_values("divide", graph, values)
    program = graph.program
    for value in values:
        if value not in program.producer or value not in program.dynamic:
            raise ValueError(
                f"divide: value {value!r} of {graph.name!r} is not computed from its inputs; take values from its cuts"
            )
    ends = _ends(program, {*values, *program.outputs})
    ordered = sorted(ends, key=program.producer.__getitem__)
    return tuple(piece(graph, _stops(program, ends, value), (value,)) for value in ordered)


def flows(graph: NetworkGraph, values: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Says which values lead to which without passing another one.

    Args:
      graph: the network.
      values: numbers of different values.

    Returns:
      Pairs of indices into `values`.

    Raises:
      TypeError: where graph is no `NetworkGraph`.
    """
    check_graph("flows", "graph", graph)
    _check_values("flows", graph, values)
    place = {value: i for i, value in enumerate(values)}
    return tuple(
        (place[v], place[value]) for value in values for v in _stops(graph.program, place, value) if v in place
    )


def _check_values(where: str, graph: NetworkGraph, values: Any) -> None:
    """Refuses what is no sequence of numbers of values."""
    several = isinstance(values, tuple | list)
    if not several or not all(isinstance(one, int | np.integer) and not isinstance(one, bool) for one in values):
        raise TypeError(f"{where}: values is {values!r}, expected a tuple of numbers of values, such as cut.value")
    for value in values:
        if value not in graph.program.dynamic:
            raise ValueError(
                f"{where}: value {value!r} of {graph.name!r} does not depend on its inputs; take values from its cuts"
            )


def _ends(program, wanted: set[int]) -> set[int]:
    """Returns where pieces end: what is wanted, and every value that more than one of the pieces then reads."""
    ends = set(wanted)
    homes: dict[int, frozenset[int]] = {}
    for index in reversed(range(len(program.equations))):
        writes = [v for v in program.equations[index].writes if v in program.dynamic]
        found = set()
        for value in writes:
            inside = [homes[r] for r in program.readers.get(value, ()) if r in homes]
            found |= {value} if value in ends else frozenset().union(*inside)
        if len(found) > 1 and not ends.issuperset(v for v in writes if v in program.readers):
            ends.update(v for v in writes if v in program.readers)
            found = {v for v in writes if v in ends}
        if writes:
            homes[index] = frozenset(found)
    return ends


def _stops(program, ends: Container[int], value: int) -> tuple[int, ...]:
    """Returns the ends and inputs that a value is computed from."""
    found, stack, seen = set(), [*_reads(program, value)], set()
    while stack:
        one = stack.pop()
        if one in seen or one not in program.dynamic:
            continue
        seen.add(one)
        if one in ends or one in program.inputs:
            found.add(one)
        else:
            stack.extend(_reads(program, one))
    return tuple(sorted(found))


def _reads(program, value: int) -> list[int]:
    return [v for v in program.equations[program.producer[value]].reads if v is not None]
