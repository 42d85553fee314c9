"""Where the numbers of a kernel lie in a parameter: the moves that lead from the one to the other, and back.

A network may transpose, reshape or slice a parameter before a convolution or product reads it. The same moves, on
numpy arrays, show the kernel as the convolution sees it, whatever layout the library stores; their inverse puts a new
kernel into a parameter.
"""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxevo.graph.program import Equation, Program

#: One step: ("reshape", shape), ("transpose", permutation) or ("take", index).
Move = tuple[str, Any]

#: What hands an array on with its numbers where they were.
_RESHAPES = ("reshape", "squeeze", "expand_dims", "broadcast_in_dim")
_NAMES = (
    "convert_element_type copy copy_p reduce_precision stop_gradient optimization_barrier mul div add sub neg rsqrt "
    "sqrt exp tanh abs max min"
)
_ELEMENTWISE = frozenset(_NAMES.split())


class Source(NamedTuple):
    """The parameter behind a static value.

    leaf: its number.
    moves: from the parameter to the value.
    """

    leaf: int
    moves: tuple[Move, ...]


def look(array: np.ndarray, moves: tuple[Move, ...]) -> np.ndarray:
    """Returns what an array is after moves, a view where numpy can make one."""
    for kind, argument in moves:
        array = _moved(array, kind, argument)
    return array


def put(array: np.ndarray, moves: tuple[Move, ...], value: np.ndarray) -> np.ndarray:
    """Returns the array that looks like `value` after moves; what they do not show stays as it is in `array`."""
    if not moves:
        return value
    (kind, argument), rest = moves[0], moves[1:]
    inner = put(_moved(array, kind, argument), rest, value)
    if kind == "reshape":
        return inner.reshape(array.shape)
    if kind == "transpose":
        return inner.transpose(np.argsort(argument))
    changed = array.copy()
    changed[argument] = inner
    return changed


def _moved(array, kind, argument):
    if kind == "reshape":
        return array.reshape(argument)
    return array.transpose(argument) if kind == "transpose" else array[argument]


def source_of(program: Program, value: int | None) -> Source | None:
    """Follows a value that depends on parameters only back to the one parameter that has its numbers.

    Args:
      program: the program.
      value: number of the value, None for a literal.

    Returns:
      The parameter, or None where it is none, or is stretched or joined with others on the way.
    """
    if value is None or value in program.dynamic:
        return None
    if value < program.leaves:
        floating = jnp.issubdtype(program.avals[value].dtype, jnp.floating)
        return Source(value, ()) if floating and program.avals[value].shape else None
    if value not in program.producer:
        return None
    equation = program.equations[program.producer[value]]
    shape = program.avals[value].shape
    if equation.primitive in _ELEMENTWISE:
        alike = (v for v in equation.reads if v is not None and program.avals[v].shape == shape)
        return next((found for v in alike if (found := source_of(program, v)) is not None), None)
    move = _move(program, equation, value)
    before = source_of(program, equation.reads[0]) if move is not None else None
    return None if before is None or move is None else Source(before.leaf, (*before.moves, move))


def _move(program: Program, equation: Equation, value: int) -> Move | None:
    name, params, shape = equation.primitive, equation.params, program.avals[value].shape
    if equation.reads[0] is None:
        return None
    came = program.avals[equation.reads[0]].shape
    if name in _RESHAPES:
        return ("reshape", shape) if math.prod(came) == math.prod(shape) else None
    if name == "transpose":
        return ("transpose", tuple(params["permutation"]))
    if name == "slice":
        strides = params["strides"] or (1,) * len(came)
        bounds = zip(params["start_indices"], params["limit_indices"], strides, strict=True)
        return ("take", tuple(slice(a, b, step) for a, b, step in bounds))
    if name == "split":
        start = sum(params["sizes"][: equation.writes.index(value)])
        cut = slice(start, start + program.avals[value].shape[params["axis"]])
        return ("take", (*(slice(None),) * params["axis"], cut))
    if name == "rev":
        return ("take", tuple(slice(None, None, -1 if i in params["dimensions"] else 1) for i in range(len(came))))
    return None
