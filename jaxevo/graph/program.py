"""Programs: a traced function as a flat list of equations whose values are numbered.

`jax.make_jaxpr` reads any JAX function. Here its nested `jit` calls are inlined and its values numbered, so that the
same function traced at another batch size gives the same numbers: whatever is known of a network's structure holds for
every batch size. `custom_jvp_call` (`relu` and friends), `scan`, `while` and `cond` stay one equation each.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

PyTree = Any

#: Calls that only wrap the equations inside; the jaxpr stands in their parameters under this name.
_WRAPPERS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
}


@dataclasses.dataclass(frozen=True)
class Equation:
    """One equation of a program.

    primitive: name of the JAX primitive.
    params: what the primitive is bound with.
    reads: number of the value behind each operand, None for a literal.
    writes: numbers of the results.
    scope: names of the modules around it, "" where the network leaves none.
    source: JAX's own equation, to be evaluated.
    """

    primitive: str
    params: Mapping[str, Any]
    reads: tuple[int | None, ...]
    writes: tuple[int, ...]
    scope: str
    source: core.JaxprEqn


@dataclasses.dataclass(frozen=True)
class Program:
    """A flat list of equations over numbered values.

    equations: in an order in which they can run; each leads to an output.
    leaves: number of values that are leaves of the parameters; they are numbered first, in the order of the leaves.
    inputs: numbers of the leaves of the inputs.
    constants: arrays that the function closes over, and literals handed into inlined calls, by number.
    outputs: number of the value behind each leaf of the outputs.
    avals: shape and dtype of every value.
    structure: tree structure of the outputs.
    """

    equations: tuple[Equation, ...]
    leaves: int
    inputs: tuple[int, ...]
    constants: Mapping[int, Any]
    outputs: tuple[int, ...]
    avals: tuple[jax.ShapeDtypeStruct, ...]
    structure: Any

    @functools.cached_property
    def producer(self) -> dict[int, int]:
        """Index of the equation that writes each value."""
        return {value: i for i, equation in enumerate(self.equations) for value in equation.writes}

    @functools.cached_property
    def readers(self) -> dict[int, tuple[int, ...]]:
        """Indices of the equations that read each value, in order."""
        found: dict[int, list[int]] = {}
        for i, equation in enumerate(self.equations):
            for value in dict.fromkeys(v for v in equation.reads if v is not None):
                found.setdefault(value, []).append(i)
        return {value: tuple(indices) for value, indices in found.items()}

    @functools.cached_property
    def dynamic(self) -> frozenset[int]:
        """Numbers of the values that depend on the inputs; all others can be folded once the parameters are known."""
        found = set(self.inputs)
        for equation in self.equations:
            if any(value in found for value in equation.reads):
                found.update(equation.writes)
        return frozenset(found)

    @functools.cached_property
    def learned(self) -> frozenset[int]:
        """Numbers of the values that depend on the parameters."""
        found = set(range(self.leaves))
        for equation in self.equations:
            if any(value in found for value in equation.reads):
                found.update(equation.writes)
        return frozenset(found)


def trace_program(function: Callable[[PyTree, PyTree], PyTree], params: PyTree, inputs: PyTree) -> Program:
    """Traces `function(params, inputs)` into a `Program`, without running it.

    Args:
      function: pure function of two pytrees.
      params: pytree of arrays or `ShapeDtypeStruct`s.
      inputs: pytree of arrays or `ShapeDtypeStruct`s.

    Returns:
      The program, with equations that lead to no output left out.
    """
    closed, shape = jax.make_jaxpr(function, return_shape=True)(params, inputs)
    builder = _Builder()
    leaves, input_leaves = len(jax.tree.leaves(params)), len(jax.tree.leaves(inputs))
    arguments = [builder.number(v.aval) for v in closed.jaxpr.invars]
    outputs = builder.inline(closed.jaxpr, closed.consts, arguments, "")
    # An output that is a literal still needs a number to be named by.
    numbers = tuple(builder.constant(o.val, o.aval) if isinstance(o, core.Literal) else o for o in outputs)
    return Program(
        equations=_live(builder.equations, numbers),
        leaves=leaves,
        inputs=tuple(arguments[leaves : leaves + input_leaves]),
        constants=builder.constants,
        outputs=numbers,
        avals=tuple(builder.avals),
        structure=jax.tree.structure(shape),
    )


def open_jaxpr(jaxpr: core.Jaxpr | core.ClosedJaxpr) -> tuple[core.Jaxpr, tuple]:
    """Returns a jaxpr and the constants it closes over; newer releases of JAX make one class of the two."""
    return (jaxpr.jaxpr, tuple(jaxpr.consts)) if isinstance(jaxpr, core.ClosedJaxpr) else (jaxpr, ())


class _Builder:
    """Collects equations while jaxprs are inlined into one another."""

    def __init__(self):
        self.equations: list[Equation] = []
        self.avals: list[jax.ShapeDtypeStruct] = []
        self.constants: dict[int, Any] = {}

    def number(self, aval) -> int:
        self.avals.append(jax.ShapeDtypeStruct(getattr(aval, "shape", ()), getattr(aval, "dtype", np.dtype("float32"))))
        return len(self.avals) - 1

    def constant(self, value, aval) -> int:
        number = self.number(aval)
        self.constants[number] = value
        return number

    def inline(self, jaxpr, consts, arguments, scope):
        """Appends the equations of `jaxpr`; arguments and results are numbers or literals."""
        known = dict(zip(jaxpr.invars, arguments, strict=True))
        for var, value in zip(jaxpr.constvars, consts, strict=True):
            known[var] = self.constant(value, var.aval)

        def look(atom):
            return atom if isinstance(atom, core.Literal) else known[atom]

        for eqn in jaxpr.eqns:
            inner = "/".join(filter(None, (scope, str(eqn.source_info.name_stack))))
            name = eqn.primitive.name
            if name in _WRAPPERS:
                body, held = open_jaxpr(eqn.params[_WRAPPERS[name]])
                results = self.inline(body, held, [look(a) for a in eqn.invars], inner)
                known.update(zip(eqn.outvars, results, strict=True))
                continue
            reads = []
            for atom in eqn.invars:
                value = look(atom)
                if isinstance(value, core.Literal):
                    # A variable of an inlined call that stands for a literal outside: give the literal a number.
                    value = None if value is atom else self.constant(value.val, value.aval)
                reads.append(value)
            writes = tuple(self.number(v.aval) for v in eqn.outvars)
            known.update(zip(eqn.outvars, writes, strict=True))
            self.equations.append(Equation(name, eqn.params, tuple(reads), writes, inner, eqn))
        return [look(v) for v in jaxpr.outvars]


def _live(equations: Iterable[Equation], outputs: Iterable[int]) -> tuple[Equation, ...]:
    needed, kept = set(outputs), []
    for equation in reversed(list(equations)):
        if any(value in needed for value in equation.writes):
            needed.update(value for value in equation.reads if value is not None)
            kept.append(equation)
    return tuple(reversed(kept))


def evaluate_equation(equation: Equation, operands: list) -> list:
    """Evaluates one equation.

    An equation that was traced in float32 can be given bfloat16 or float16: convolutions and products then compute in
    it, everything else in float32, and all results are as narrow as what came.

    Args:
      equation: the equation.
      operands: its operands that are not literals, in order.

    Returns:
      Its results.
    """
    variables = [atom for atom in equation.source.invars if not isinstance(atom, core.Literal)]
    traced = [_dtype(variable.aval) for variable in variables]
    narrow = next((x.dtype for x, want in zip(operands, traced, strict=True) if _is_narrower(_dtype(x), want)), None)
    if narrow is None:
        return _evaluate(equation, operands)
    product = _PRODUCTS.get(equation.primitive)
    if product is not None and len(operands) == 2:
        return [product(*(x.astype(narrow) for x in operands), equation.params)]
    wide = [x.astype(want) if _is_narrower(_dtype(x), want) else x for x, want in zip(operands, traced, strict=True)]
    return [x.astype(narrow) if _is_narrower(narrow, _dtype(x)) else x for x in _evaluate(equation, wide)]


def _dtype(value) -> np.dtype:
    return getattr(value, "dtype", np.dtype(int))


def _is_narrower(dtype, other) -> bool:
    floating = jnp.issubdtype(dtype, jnp.floating) and jnp.issubdtype(other, jnp.floating)
    return floating and dtype.itemsize < other.itemsize


def _convolve(x, kernel, params):
    names = ("window_strides", "padding", "lhs_dilation", "rhs_dilation", "dimension_numbers", "precision")
    counts = ("feature_group_count", "batch_group_count")
    return jax.lax.conv_general_dilated(x, kernel, **{name: params[name] for name in (*names, *counts)})


def _multiply(x, y, params):
    return jax.lax.dot_general(x, y, params["dimension_numbers"], precision=params["precision"])


#: What computes in the dtype that it is given, whatever it was traced in.
_PRODUCTS = {"conv_general_dilated": _convolve, "dot_general": _multiply}


def _evaluate(equation: Equation, operands: list) -> list:
    # A jaxpr of this one equation, evaluated by JAX's own public evaluator: `Primitive.bind` itself wants a form of
    # the parameters that differs between releases.
    eqn = equation.source
    variables = [atom for atom in eqn.invars if not isinstance(atom, core.Literal)]
    distinct = list(dict.fromkeys(variables))
    values = dict(zip(variables, operands, strict=True))
    jaxpr = core.Jaxpr((), distinct, eqn.outvars, [eqn], eqn.effects, debug_info=_no_names(len(distinct), eqn))
    return core.jaxpr_as_fun(core.ClosedJaxpr(jaxpr, ()))(*[values[v] for v in distinct])


def _no_names(arguments: int, eqn) -> core.DebugInfo:
    return core.DebugInfo(
        "equation", eqn.primitive.name, tuple("" for _ in range(arguments)), tuple("" for _ in eqn.outvars)
    )


def run_equations(
    equations: Iterable[Equation], known: dict[int, Any], overrides: Mapping[int, Callable[..., list]] | None = None
) -> dict[int, Any]:
    """Evaluates equations in order, from the values that are known.

    Args:
      equations: what to evaluate.
      known: values by number; not changed.
      overrides: instead of the equation that writes value `v` first, call `overrides[v](*operands)`; operands are
        those that are known (a parameter that was merged away is None).

    Returns:
      All values by number.
    """
    values = dict(known)
    for equation in equations:
        operands = [values.get(v) for v in equation.reads if v is not None]
        override = (overrides or {}).get(equation.writes[0])
        results = override(*operands) if override is not None else evaluate_equation(equation, operands)
        values.update(zip(equation.writes, results, strict=True))
    return values
