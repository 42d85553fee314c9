"""Equations evaluated with the channels of convolutions held last, whatever order of axes a network was written in.

A value that comes out of a channels-first convolution is kept as the array with its channels last and a note of where
its axes belong. Elementwise equations, reductions, windows, paddings, slices and concatenations work on it as it lies;
any other equation is given the array in its own order. So a network is transposed where it begins and where it ends,
and not around each convolution. In a channels-last network nothing is moved.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from jaxevo.graph.program import Equation, evaluate_equation, open_jaxpr

#: What computes each number of its result from the numbers at that place in its operands.
_NAMES = (
    "abs acos acosh add add_any and asin asinh atan atan2 atanh cbrt ceil clamp convert_element_type copy copy_p cos "
    "cosh div eq erf erf_inv erfc exp exp2 expm1 floor ge gt integer_pow is_finite le log log1p logistic lt max min "
    "mul ne neg nextafter not or pow reduce_precision rem round rsqrt select_n sign sin sinh sqrt square sub tan tanh "
    "xor"
)
_ELEMENTWISE = frozenset(_NAMES.split())

#: Parameters of an equation that hold an entry for each axis.
_PER_AXIS = {
    "pad": ("padding_config",),
    "slice": ("start_indices", "limit_indices", "strides"),
    **dict.fromkeys(
        ("reduce_window", "reduce_window_max", "reduce_window_min", "reduce_window_sum"),
        ("window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation"),
    ),
}

#: Calls that hold their jaxpr in their parameters under this name.
_CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "custom_jvp_call": "call_jaxpr"}

Order = tuple[int, ...]

#: `(input, kernel, params) -> output` of a convolution whose axes are (batch, space, channels) and (space, in, out).
Convolve = Callable[[jax.Array, jax.Array, Mapping[str, Any]], jax.Array]


class Held(NamedTuple):
    """A value whose array lies in another order of axes.

    array: the array.
    order: which axis of the value each axis of the array is.
    """

    array: jax.Array
    order: Order


def hold(value: Any, order: Order) -> jax.Array:
    """Returns the array of a value in an order of its axes; one of fewer axes, such as a scalar, as it is."""
    if isinstance(value, Held):
        if value.order == order:
            return value.array
        value = plain(value)
    return value.transpose(order) if value.ndim == len(order) and order != tuple(range(len(order))) else value


def plain(value: Any) -> Any:
    """Returns the array of a value in the value's own order."""
    return value.array.transpose(_inverse(value.order)) if isinstance(value, Held) else value


def orders(equation: Equation) -> tuple[Order, Order, Order]:
    """Returns the orders in which a convolution's input, kernel and output have their channels last."""
    left, kernel, out = equation.params["dimension_numbers"]
    return (left[0], *left[2:], left[1]), (*kernel[2:], kernel[1], kernel[0]), (out[0], *out[2:], out[1])


def run_held(
    equations: Iterable[Equation],
    known: Mapping[int, Any],
    convolve: Convolve,
    overrides: Mapping[int, Callable[..., list]] | None = None,
) -> dict[int, Any]:
    """Evaluates equations in order, convolutions with their channels last.

    Args:
      equations: what to evaluate.
      known: values by number, arrays or `Held`; not changed.
      convolve: computes a convolution.
      overrides: as in `run_equations`.

    Returns:
      All values by number, arrays or `Held`.
    """
    values = dict(known)
    for equation in equations:
        operands = [values.get(v) for v in equation.reads if v is not None]
        override = (overrides or {}).get(equation.writes[0])
        if override is not None:
            results = override(*map(plain, operands))
        elif _is_convolution(equation, operands):
            results = [_convolved(equation, operands, convolve)]
        else:
            results = _evaluate(equation, operands)
        values.update(zip(equation.writes, results, strict=True))
    return values


def _is_convolution(equation: Equation, operands: list) -> bool:
    if equation.primitive != "conv_general_dilated" or equation.params["batch_group_count"] != 1:
        return False
    return all(_array(operand).dtype == jnp.float32 for operand in operands)


def _convolved(equation, operands, convolve):
    left, kernel, out = orders(equation)
    return _note(convolve(hold(operands[0], left), hold(operands[1], kernel), equation.params), out)


def _evaluate(equation: Equation, operands: list) -> list:
    """Evaluates an equation on arrays as they lie where it can be, else on arrays in their own order."""
    first = next((operand for operand in operands if isinstance(operand, Held)), None)
    if first is None:
        return evaluate_equation(equation, operands)
    name, params, order = equation.primitive, equation.params, first.order
    if name in _ELEMENTWISE:
        return [_note(x, order) for x in evaluate_equation(equation, [hold(x, order) for x in operands])]
    if name == "custom_jvp_call" and len(operands) == 1 and _is_elementwise(params["call_jaxpr"]):
        return _call(equation, first)
    if name.startswith("reduce_") and "axes" in params and len(operands) == 1:
        return _reduce(equation, first)
    if name in _PER_AXIS:
        moved = {key: params[key] and tuple(params[key][axis] for axis in order) for key in _PER_AXIS[name]}
        equation = _replaced(equation, **moved)
    elif name == "concatenate":
        equation = _replaced(equation, dimension=order.index(params["dimension"]))
    else:
        return evaluate_equation(equation, [plain(operand) for operand in operands])
    return [_note(x, order) for x in evaluate_equation(equation, [hold(x, order) for x in operands])]


def _call(equation: Equation, held: Held) -> list:
    """Evaluates an elementwise function with a derivative of its own, such as ReLU.

    Its jaxpr is written for one shape, and none other may be given to it; the order of the numbers does not matter to
    it, so the array is only renamed to that shape.
    """
    written: Any = equation.source.invars[0].aval
    results = evaluate_equation(equation, [held.array.reshape(written.shape)])
    return [Held(x.reshape(held.array.shape), held.order) for x in results]


def _reduce(equation: Equation, held: Held) -> list:
    axes = equation.params["axes"]
    places = _inverse(held.order)
    left = [axis for axis in held.order if axis not in axes]
    moved = _replaced(equation, axes=tuple(sorted(places[axis] for axis in axes)))
    return [_note(x, tuple(sorted(left).index(axis) for axis in left)) for x in evaluate_equation(moved, [held.array])]


def _is_elementwise(jaxpr: core.Jaxpr | core.ClosedJaxpr) -> bool:
    return all(
        _is_elementwise(eqn.params[_CALLS[eqn.primitive.name]])
        if eqn.primitive.name in _CALLS
        else eqn.primitive.name in _ELEMENTWISE
        for eqn in open_jaxpr(jaxpr)[0].eqns
    )


def _replaced(equation: Equation, **changes) -> Equation:
    params = {**equation.params, **changes}
    return dataclasses.replace(equation, params=params, source=equation.source.replace(params=params))


def _array(value):
    return value.array if isinstance(value, Held) else value


def _note(array, order: Order):
    return array if order == tuple(range(len(order))) else Held(array, order)


def _inverse(order: Order) -> Order:
    return tuple(order.index(axis) for axis in range(len(order)))
