"""The main path of a network: what features flow through, without gates and shortcuts.

It is found by going back from the outputs. Where two ways are added, the one with more kernels goes on and the other is
a shortcut; where one value scales another of more numbers, that value is a gate (squeeze-and-excite). All other
meetings of ways, such as concatenations and the products of attention, are followed on every side.
"""

import functools
import operator
from collections.abc import Iterable
from typing import NamedTuple

from jaxevo.graph.program import Equation, Program
from jaxevo.transfer.layers.kernels import Kernel, Role

_SUMS = ("add", "add_any", "sub")
_SCALES = ("mul", "div")
#: What stretches a gate to the size of the features that it scales.
_STRETCHES = ("broadcast_in_dim", "reshape", "squeeze", "expand_dims")


def roles(program: Program, kernels: Iterable[Kernel]) -> tuple[Role, ...]:
    """Says of each kernel whether it lies on the main path.

    Args:
      program: the network's program.
      kernels: its kernels.

    Returns:
      The role of each, in their order.
    """
    kernels = tuple(kernels)
    found = {kernel.equation for kernel in kernels}
    depths = _depths(program, found)
    gates: set[int] = set()
    main = _back(program, program.outputs, depths, gates)
    gated = _back(program, gates, depths, set(), stop=main)

    def role(kernel: Kernel) -> Role:
        if kernel.equation in main:
            return "main"
        return "gate" if kernel.equation in gated else "side"

    return tuple(role(kernel) for kernel in kernels)


class Branch(NamedTuple):
    """What is added to features that go round it.

    end: number of the value that is added.
    inside: indices of the equations that lead to it and not to the features.
    """

    end: int
    inside: frozenset[int]


def branches(program: Program, kernels: Iterable[Kernel]) -> tuple[Branch, ...]:
    """Lists the residual branches that lie on the main path.

    Args:
      program: the network's program.
      kernels: its kernels.

    Returns:
      The branches, in an order in which they can run.
    """
    depths = _depths(program, {kernel.equation for kernel in kernels})
    lineage = _lineage(program)
    found: list[Branch] = []
    for index in sorted(_back(program, program.outputs, depths, set())):
        equation = program.equations[index]
        if equation.primitive not in _SUMS:
            continue
        followed, _ = _ways(program, equation, depths)
        around = [v for v in equation.reads if v is not None and v in program.dynamic and v not in followed]
        if len(followed) == 1 and around:
            bits = lineage[followed[0]] & ~functools.reduce(operator.or_, (lineage[v] for v in around))
            inside = frozenset(i for i in range(index) if bits >> i & 1)
            found.append(Branch(followed[0], inside))
    return tuple(found)


def _lineage(program: Program) -> dict[int, int]:
    """Returns which equations lead to each value that depends on the inputs, as the bits of a whole number."""
    found = dict.fromkeys(program.inputs, 0)
    for index, equation in enumerate(program.equations):
        before = [found[v] for v in equation.reads if v in found]
        if before:
            found.update(dict.fromkeys(equation.writes, functools.reduce(operator.or_, before) | 1 << index))
    return found


def _depths(program: Program, kernels: set[int]) -> dict[int, int]:
    """Returns how many kernels lie on the longest way from the inputs to each value."""
    depths = dict.fromkeys(program.inputs, 0)
    for index, equation in enumerate(program.equations):
        before = [depths[v] for v in equation.reads if v in depths]
        if before:
            depths.update(dict.fromkeys(equation.writes, max(before) + (index in kernels)))
    return depths


def _back(program, values: Iterable[int], depths, gates: set[int], stop: Iterable[int] = ()) -> set[int]:
    """Returns the equations on the ways back from values to the inputs; adds the gates that it passes to `gates`."""
    found: set[int] = set(stop)
    begun = frozenset(found)
    stack = list(values)
    while stack:
        value = stack.pop()
        index = program.producer.get(value)
        if index is None or index in found or value not in program.dynamic:
            continue
        found.add(index)
        followed, left = _ways(program, program.equations[index], depths)
        gates |= left
        stack += followed
    return found - begun


def _ways(program: Program, equation: Equation, depths) -> tuple[list[int], set[int]]:
    """Returns the operands that the main path comes from, and those that are gates."""
    operands = list(dict.fromkeys(v for v in equation.reads if v is not None and v in program.dynamic))
    if len(operands) > 1 and equation.primitive in _SUMS:
        deepest = max(depths[v] for v in operands)
        return [v for v in operands if depths[v] == deepest], set()
    if len(operands) > 1 and equation.primitive in _SCALES:
        sizes = {v: _size(program, v) for v in operands}
        largest = max(sizes.values())
        return [v for v in operands if sizes[v] == largest], {v for v in operands if sizes[v] < largest}
    return operands, set()


def _size(program: Program, value: int) -> int:
    """Returns how many numbers a value is made of, before it was stretched."""
    size = _count(program, value)
    while value in program.producer:
        equation = program.equations[program.producer[value]]
        if equation.primitive not in _STRETCHES or equation.reads[0] is None:
            break
        value = equation.reads[0]
        size = min(size, _count(program, value))
    return size


def _count(program: Program, value: int) -> int:
    count = 1
    for length in program.avals[value].shape:
        count *= length
    return count
