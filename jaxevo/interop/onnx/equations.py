"""Writes the equations of a network, traced at two batch sizes side by side."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.extend import core

from jaxevo.graph.program import Equation, evaluate_equation, open_jaxpr
from jaxevo.interop.onnx import primitives as _primitives  # noqa: F401  # enters the primitives into the table
from jaxevo.interop.onnx.emission import Emission
from jaxevo.interop.onnx.lengths import Batch, BatchDependenceError, Length, common, fixed
from jaxevo.interop.onnx.primitives.table import Call, find
from jaxevo.interop.onnx.views import View, aligned, constant

#: Elements up to which what is known while a file is written is computed then.
_MOST_FOLDED = 2**22
#: What is a view of an array however large it is.
_VIEWS = ("broadcast_in_dim", "iota")


def missing(jaxpr: Any, scope: str = "") -> dict[str, list[str]]:
    """Returns the primitives of a jaxpr, and of those inside it, that no function writes, with where they stand."""
    found: dict[str, list[str]] = {}
    for equation in _live(open_jaxpr(jaxpr)[0]):
        inner = "/".join(filter(None, (scope, str(equation.source_info.name_stack))))
        if find(equation.primitive.name) is None:
            found.setdefault(equation.primitive.name, []).append(inner)
            continue
        for held in jax.tree.leaves(dict(equation.params), is_leaf=_is_jaxpr):
            if _is_jaxpr(held):
                for name, places in missing(held, inner).items():
                    found.setdefault(name, []).extend(places)
    return found


def _is_jaxpr(value: Any) -> bool:
    return isinstance(value, core.Jaxpr | core.ClosedJaxpr)


def write(emission: Emission, pair: tuple[Any, Any], arguments: Sequence[View], scope: str = "") -> tuple[View, ...]:
    """Writes a jaxpr.

    Args:
      emission: where it is written.
      pair: the jaxpr at both batch sizes.
      arguments: what it reads.
      scope: names of the modules around it.

    Returns:
      What it gives.

    Raises:
      ValueError: where something depends on the batch's length in a way that no file can say.
    """
    (first, first_held), (second, second_held) = (open_jaxpr(jaxpr) for jaxpr in pair)
    known: dict[Any, View] = dict(zip(first.invars, arguments, strict=True))
    for variable, one, other in zip(first.constvars, first_held, second_held, strict=True):
        known[variable] = _closed_over(emission, one, other, _dtype(variable))
    if len(first.eqns) != len(second.eqns):
        raise ValueError("to_onnx: the network computes something else at another batch size; it must not branch on it")
    live = {id(equation) for equation in _live(first)}
    for one, other in zip(first.eqns, second.eqns, strict=True):
        if id(one) not in live:
            continue
        inner = "/".join(filter(None, (scope, str(one.source_info.name_stack))))
        try:
            operands = [_read(emission, known, *atoms) for atoms in zip(one.invars, other.invars, strict=True)]
            found = _equation(emission, one, other, operands, inner)
        except BatchDependenceError as error:
            raise ValueError(
                f"to_onnx: {one.primitive.name}{f' in {inner}' if inner else ''} depends on the batch: {error}; "
                "examples must not be mixed, and lengths follow the batch in whole multiples only"
            ) from error
        known.update(zip(one.outvars, found, strict=True))
    return tuple(_read(emission, known, *atoms) for atoms in zip(first.outvars, second.outvars, strict=True))


def _live(jaxpr: Any) -> list[Any]:
    """Returns the equations of a jaxpr that lead to what it gives."""
    needed, kept = {variable for variable in jaxpr.outvars if not isinstance(variable, core.Literal)}, []
    for equation in reversed(jaxpr.eqns):
        if any(variable in needed for variable in equation.outvars):
            needed.update(atom for atom in equation.invars if not isinstance(atom, core.Literal))
            kept.append(equation)
    return kept[::-1]


def _read(emission: Emission, known: dict[Any, View], one: Any, other: Any) -> View:
    return _closed_over(emission, one.val, other.val, _dtype(one)) if isinstance(one, core.Literal) else known[one]


def _dtype(atom: Any) -> np.dtype:
    aval: Any = atom.aval
    return np.dtype(aval.dtype)


def _closed_over(emission: Emission, one: Any, other: Any, dtype: Any) -> View:
    """Returns an array that the network holds; along the batch it must repeat itself or count on in equal steps."""
    one, other = np.asarray(one, dtype), np.asarray(other, dtype)
    shape = common(one.shape, other.shape)
    if not shape and one.dtype.kind in "iu" and one != other:
        # A length, such as what is added to indices that count from the end.
        length = emission.emit("Squeeze", emission.ints([common(int(one), int(other))]), emission.ints([0]))
        return View(emission.cast(length, one.dtype), (), (), one.dtype)
    steps: list[tuple[int, np.ndarray]] = []
    for axis, length in enumerate(shape):
        if isinstance(length, Batch):
            (one, step), (other, same) = _progression(one, axis), _progression(other, axis)
            if not np.array_equal(step, same):
                raise BatchDependenceError(_DIFFER)
            if step.any():
                steps.append((axis, step))
    if not np.array_equal(one, other, equal_nan=one.dtype.kind in "fc"):
        raise BatchDependenceError(_DIFFER)
    axes = tuple(None if isinstance(n, Batch) else axis for axis, n in enumerate(shape))
    found = View(one, axes, shape, one.dtype)
    for axis, step in steps:
        found = _counted_on(emission, found, axis, View(step, axes, shape, one.dtype))
    return found


_DIFFER = "it holds numbers that differ with the batch's length"


def _progression(array: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns an array's first entry along an axis, and by what each further one exceeds the one before."""
    first = array.take([0], axis)
    if (array == first).all():
        return first, np.zeros_like(first)
    if array.dtype.kind not in "iu":
        raise BatchDependenceError(_DIFFER)
    step = array.take([1], axis) - first
    places = np.arange(array.shape[axis]).reshape([-1 if place == axis else 1 for place in range(array.ndim)])
    if not np.array_equal(array, first + places * step):
        raise BatchDependenceError(_DIFFER)
    return first, step


def _counted_on(emission: Emission, first: View, axis: int, step: View) -> View:
    """Writes `first + n * step` for all n along an axis that follows the batch."""
    places = View(emission.positions(first.shape[axis], first.dtype), (axis,), first.shape, first.dtype)
    for operator, view in (("Mul", step), ("Add", first)):
        names, order = aligned(emission, [places, view])
        places = View(emission.emit(operator, *names), order, first.shape, first.dtype)
    return places


def _equation(emission: Emission, one: Any, other: Any, operands: list[View], scope: str) -> Sequence[View]:
    name = one.primitive.name
    if name != other.primitive.name:
        raise BatchDependenceError(f"{other.primitive.name} takes its place at another batch size")
    shapes = tuple(_shape(a.aval, b.aval) for a, b in zip(one.outvars, other.outvars, strict=True))
    dtypes = tuple(_dtype(variable) for variable in one.outvars)

    def inline(what: Any, values: Sequence[View]) -> tuple[View, ...]:
        pair = (one.params[what], other.params[what]) if isinstance(what, str) else what
        return write(emission, pair, values, scope)

    call = Call(name, scope, emission, shapes, dtypes, inline, (one.params, other.params))
    if _foldable(name, operands, shapes, one.params):
        return _folded(one, operands, scope)
    function = find(name)
    assert function is not None, "checked before anything was written"
    found = function(call, *operands)
    return (found,) if isinstance(found, View) else found


def _shape(one: Any, other: Any) -> tuple[Length, ...]:
    return common(tuple(one.shape), tuple(other.shape))


def _foldable(name: str, operands: Sequence[View], shapes: Sequence[tuple[Length, ...]], params: Any) -> bool:
    known = name not in _VIEWS and all(view.known for view in operands) and all(map(fixed, shapes))
    holds = any(_is_jaxpr(held) for held in jax.tree.leaves(dict(params), is_leaf=_is_jaxpr))
    return known and not holds and all(np.prod(shape, dtype=float) <= _MOST_FOLDED for shape in shapes)  # type: ignore


def _folded(eqn: Any, operands: Sequence[View], scope: str) -> list[View]:
    equation = Equation(eqn.primitive.name, eqn.params, (), (), scope, eqn)
    values = [
        jax.numpy.asarray(view.value)
        for view, atom in zip(operands, eqn.invars, strict=True)
        if not isinstance(atom, core.Literal)
    ]
    return [constant(np.asarray(found)) for found in evaluate_equation(equation, values)]
