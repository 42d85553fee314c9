"""Batch normalisations found in a network: which of its parameters are statistics, and of which value.

They are read from the equations alone: from a value that depends on the inputs a parameter is subtracted, its running
mean, and the difference is multiplied by the inverse root of another one and a constant, its running variance
(arXiv 1502.03167, algorithm 2). Layer and group normalisations take their statistics from the inputs, so they store
none and are not found; nor is a normalisation that was folded into one product and one sum.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax.numpy as jnp

from jaxevo.graph.program import Equation, Program
from jaxevo.graph.tracing import NetworkGraph, check_graph

#: Where the axes of a parameter lie among the axes of a value, None for an axis of length one that was stretched.
Axes = tuple[int | None, ...]

#: What changes the dtype or makes a copy, and no number.
_COPIES = ("convert_element_type", "copy", "copy_p", "reduce_precision")


class Statistic(NamedTuple):
    """A running statistic among the parameters of a network.

    leaf: number of the parameter leaf that stores it.
    value: number of the value that is used as the statistic, of the leaf's shape: the leaf itself, or the leaf times a
      number where what is stored is not debiased yet (Equinox's mode "batch").
    """

    leaf: int
    value: int


class Normalisation(NamedTuple):
    """A batch normalisation with stored statistics.

    value: number of the value that it normalises.
    mean: its running mean.
    variance: its running variance.
    axes: axes of the value along which there are statistics of their own, usually the channel axis alone, in the order
      of the axes of the leaves that are longer than one.
    """

    value: int
    mean: Statistic
    variance: Statistic
    axes: tuple[int, ...]


def batch_normalisations(graph: NetworkGraph) -> tuple[Normalisation, ...]:
    """Finds the batch normalisations of a network that use stored statistics.

    Recognised are those of Flax Linen and NNX (`use_running_average=True`), those of Equinox (inference mode), and
    whatever computes `(x - mean) * rsqrt(variance + epsilon)` or divides by the root, with scales in between.

    Args:
      graph: the network.

    Returns:
      The normalisations, in the order in which they run.

    Raises:
      TypeError: where graph is no `NetworkGraph`.
    """
    check_graph("batch_normalisations", "graph", graph)
    program = graph.program
    found = []
    for equation in program.equations:
        if equation.primitive != "sub" or not _is_dynamic(program, equation.reads[0]):
            continue
        value, subtracted = equation.reads
        if value is None or subtracted is None or subtracted in program.dynamic:
            continue
        traced, variance = _statistic(program, subtracted), _variance(program, equation.writes[0])
        if traced is None or variance is None:
            continue
        mean, axes = traced
        shapes = [program.avals[statistic.leaf].shape for statistic in (mean, variance)]
        apart = tuple(axis for axis, length in zip(axes, shapes[0], strict=True) if length > 1 and axis is not None)
        if shapes[0] == shapes[1] and mean.leaf != variance.leaf and graph.features[value].batch not in apart:
            found.append(Normalisation(value, mean, variance, apart))
    return tuple(found)


def _is_dynamic(program: Program, value: int | None) -> bool:
    return value is not None and value in program.dynamic


def _statistic(program: Program, value: int) -> tuple[Statistic, Axes] | None:
    """Follows a value back to the parameter that it is, in another shape and perhaps times a number.

    Returns:
      The statistic, and on which axis of `value` each axis of the leaf lies; None where it is no such parameter.
    """
    axes: Axes = tuple(range(len(program.avals[value].shape)))
    scaled = None
    while value >= program.leaves:
        if value not in program.producer:
            return None
        equation = program.equations[program.producer[value]]
        source = equation.reads[0]
        moved = _moved(program, equation, axes)
        if moved is not None and source is not None:
            value, axes = source, moved
        elif (source := _scaled(program, equation)) is not None:
            scaled, value = scaled or value, source
        else:
            return None
    aval, used = program.avals[value], value if scaled is None else scaled
    fits = bool(aval.shape) and jnp.issubdtype(aval.dtype, jnp.floating) and program.avals[used].shape == aval.shape
    stretched = any(axis is None and length > 1 for axis, length in zip(axes, aval.shape, strict=True))
    return (Statistic(value, used), axes) if fits and not stretched else None


def _moved(program: Program, equation: Equation, axes: Axes) -> Axes | None:
    """Takes `axes` from the result of an equation to its operand; None where it does more than change the shape."""
    name, params = equation.primitive, equation.params
    if name in _COPIES:
        return axes
    if equation.reads[0] is None:
        return None
    came = program.avals[equation.reads[0]].shape
    if name == "broadcast_in_dim":
        places = params["broadcast_dimensions"]
        shape = program.avals[equation.writes[0]].shape
        return tuple(axes[p] if shape[p] == length else None for p, length in zip(places, came, strict=True))
    if name == "transpose":
        return tuple(axes[params["permutation"].index(axis)] for axis in range(len(came)))
    if name in ("reshape", "squeeze", "expand_dims"):
        # Axes of length one come and go; the others keep their order, or this is another shape altogether.
        shape = program.avals[equation.writes[0]].shape
        long = [axis for axis, length in zip(axes, shape, strict=True) if length > 1]
        if [n for n in came if n > 1] != [n for n in shape if n > 1]:
            return None
        kept: Iterator[int | None] = iter(long)
        return tuple(next(kept) if length > 1 else None for length in came)
    return None


def _scaled(program: Program, equation: Equation) -> int | None:
    """Returns the value that an equation multiplies by or divides by one number, None for any other equation."""
    operands = equation.reads
    if equation.primitive not in ("mul", "div"):
        return None
    pairs = [(0, 1)] if equation.primitive == "div" else [(0, 1), (1, 0)]
    for one, other in pairs:
        factor = operands[other]
        if operands[one] is not None and (factor is None or not program.avals[factor].shape):
            return operands[one]
    return None


def _variance(program: Program, value: int) -> Statistic | None:
    """Finds the stored variance by whose root a difference is divided, on its way past scales."""
    while value not in program.outputs and len(program.readers.get(value, ())) == 1:
        equation = program.equations[program.readers[value][0]]
        if equation.primitive in ("mul", "div"):
            others = [operand for operand in equation.reads if operand != value]
            if len(others) != 1 or (equation.primitive == "div" and equation.reads[0] != value):
                return None
            if others[0] is not None:
                if others[0] in program.dynamic:
                    return None
                roots = _roots(program, others[0])
                if roots:
                    return roots[0] if len(roots) == 1 else None
        elif equation.primitive not in _COPIES:
            return None
        value = equation.writes[0]
    return None


def _roots(program: Program, value: int) -> list[Statistic]:
    """Lists the parameters whose root, after a constant was added, is taken on the way to a static value."""
    found, seen, stack = [], set(), [value]
    while stack:
        value = stack.pop()
        if value in seen or value not in program.producer:
            continue
        seen.add(value)
        equation = program.equations[program.producer[value]]
        operands = [operand for operand in equation.reads if operand is not None]
        if equation.primitive in ("sqrt", "rsqrt"):
            statistic = _under_root(program, operands[0])
            found += [] if statistic is None else [statistic]
        stack += operands
    return found


def _under_root(program: Program, value: int) -> Statistic | None:
    if value not in program.producer:
        return None
    equation = program.equations[program.producer[value]]
    if equation.primitive not in ("add", "max"):
        return None
    leaves = [operand for operand in equation.reads if operand is not None and operand not in program.constants]
    traced = _statistic(program, leaves[0]) if len(leaves) == 1 else None
    return None if traced is None else traced[0]
