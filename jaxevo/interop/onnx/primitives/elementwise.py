"""Primitives that act on each element by itself."""

import jax.numpy as jnp
import numpy as np

from jaxevo.interop.onnx.primitives.table import primitive
from jaxevo.interop.onnx.views import aligned, constant

_UNARY = {
    "abs": "Abs",
    "acos": "Acos",
    "acosh": "Acosh",
    "asin": "Asin",
    "asinh": "Asinh",
    "atan": "Atan",
    "atanh": "Atanh",
    "ceil": "Ceil",
    "cos": "Cos",
    "cosh": "Cosh",
    "erf": "Erf",
    "exp": "Exp",
    "floor": "Floor",
    "log": "Log",
    "logistic": "Sigmoid",
    "neg": "Neg",
    "sign": "Sign",
    "sin": "Sin",
    "sinh": "Sinh",
    "sqrt": "Sqrt",
    "tan": "Tan",
    "tanh": "Tanh",
}
_BINARY = {
    "add": "Add",
    "add_any": "Add",
    "div": "Div",
    "eq": "Equal",
    "ge": "GreaterOrEqual",
    "gt": "Greater",
    "le": "LessOrEqual",
    "lt": "Less",
    "max": "Max",
    "min": "Min",
    "mul": "Mul",
    "pow": "Pow",
    "sub": "Sub",
}
_LOGICAL = {"and": ("And", "BitwiseAnd"), "or": ("Or", "BitwiseOr"), "xor": ("Xor", "BitwiseXor")}


def _write(call, operator, *views, **attributes):
    names, order = aligned(call.emission, views)
    return call.result(call.emission.emit(operator, *names, **attributes), order)


def _number(view, value):
    return constant(np.asarray(value, view.dtype))


@primitive(*_UNARY)
def unary(call, x):
    return _write(call, _UNARY[call.primitive], x)


@primitive(*_BINARY)
def binary(call, x, y):
    return _write(call, _BINARY[call.primitive], x, y)


@primitive(*_LOGICAL)
def logical(call, x, y):
    return _write(call, _LOGICAL[call.primitive][x.dtype != np.bool_], x, y)


@primitive("not")
def negation(call, x):
    return _write(call, "Not" if x.dtype == np.bool_ else "BitwiseNot", x)


@primitive("ne")
def unequal(call, x, y):
    equal = _write(call, "Equal", x, y)
    return _write(call, "Not", equal)


@primitive("rem")
def remainder(call, x, y):
    return _write(call, "Mod", x, y, fmod=1)


@primitive("rsqrt")
def inverse_root(call, x):
    return _write(call, "Reciprocal", _write(call, "Sqrt", x))


@primitive("square")
def square(call, x):
    return _write(call, "Mul", x, x)


@primitive("integer_pow")
def whole_power(call, x):
    exponent = call["y"]
    if exponent == 2:
        return _write(call, "Mul", x, x)
    if exponent == -1:
        return _write(call, "Reciprocal", x)
    return _write(call, "Pow", x, _number(x, exponent))


@primitive("exp2")
def power_of_two(call, x):
    return _write(call, "Pow", _number(x, 2), x)


@primitive("cbrt")
def cube_root(call, x):
    root = _write(call, "Pow", _write(call, "Abs", x), _number(x, 1 / 3))
    return _write(call, "Mul", _write(call, "Sign", x), root)


@primitive("log1p")
def log_plus_one(call, x):
    # Kahan's formula: where 1 + x is rounded, so is the logarithm's argument, and their quotient is right again.
    one = _number(x, 1)
    whole = _write(call, "Add", x, one)
    rounded = _write(call, "Sub", whole, one)
    quotient = _write(call, "Div", _write(call, "Mul", _write(call, "Log", whole), x), rounded)
    infinite = _write(call, "Equal", whole, x)
    exact = _write(call, "Where", infinite, _write(call, "Log", whole), quotient)
    return _write(call, "Where", _write(call, "Equal", whole, one), x, exact)


@primitive("expm1")
def exp_minus_one(call, x):
    # tanh keeps the digits that the difference loses: e^x - 1 = tanh(x / 2) (e^x + 1).
    half = _write(call, "Tanh", _write(call, "Mul", x, _number(x, 0.5)))
    return _write(call, "Mul", half, _write(call, "Add", _write(call, "Exp", x), _number(x, 1)))


@primitive("erfc")
def complementary_error(call, x):
    return _write(call, "Sub", _number(x, 1), _write(call, "Erf", x))


@primitive("is_finite")
def finite(call, x):
    # NaN equals nothing, and an infinity less itself is NaN.
    difference = _write(call, "Sub", x, x)
    return _write(call, "Equal", difference, difference)


@primitive("round")
def nearest(call, x):
    if int(call["rounding_method"]) == 1:
        return _write(call, "Round", x)
    away = _write(call, "Floor", _write(call, "Add", _write(call, "Abs", x), _number(x, 0.5)))
    return _write(call, "Mul", _write(call, "Sign", x), away)


@primitive("clamp")
def clamp(call, low, x, high):
    if low.known and high.known and not low.shape and not high.shape:
        names = [low.write(call.emission), high.write(call.emission)]
        return call.result(call.emission.emit("Clip", x.write(call.emission, x.held), *names), x.held)
    return _write(call, "Min", _write(call, "Max", x, low), high)


@primitive("select_n")
def select(call, which, *cases):
    if which.dtype == np.bool_:
        return _choice(call, which, cases[1], cases[0])
    found = cases[0]
    for index, case in enumerate(cases[1:], 1):
        found = _choice(call, _write(call, "Equal", which, _number(which, index)), case, found)
    return found


def _choice(call, which, yes, no):
    if yes.dtype != np.bool_:
        return _write(call, "Where", which, yes, no)
    chosen = _write(call, "And", which, yes)
    return _write(call, "Or", chosen, _write(call, "And", _write(call, "Not", which), no))


@primitive("convert_element_type")
def convert(call, x):
    if x.dtype == call.dtypes[0]:
        return x
    name, dtype = x.write(call.emission, x.held), call.dtypes[0]
    if jnp.issubdtype(x.dtype, jnp.floating) and dtype.kind in "iu" and dtype.itemsize < 4:
        # JAX holds what is out of range at its ends, which ONNX leaves open and runtimes wrap around.
        limits = np.iinfo(dtype)
        name = name if x.dtype == np.float32 else call.emission.cast(name, np.dtype(np.float32))
        bounds = (call.emission.constant(np.asarray(end, np.float32)) for end in (limits.min, limits.max))
        name = call.emission.emit("Clip", name, *bounds)
    return call.result(call.emission.cast(name, dtype), x.held)


@primitive(
    "copy",
    "copy_p",
    "device_put",
    "name",
    "optimization_barrier",
    "sharding_constraint",
    "stop_gradient",
)
def same(call, *values):  # noqa: ARG001
    return values


@primitive("reduce_precision")
def rounded(call, x):
    info = jnp.finfo(x.dtype)
    if call["exponent_bits"] < info.nexp or call["mantissa_bits"] < info.nmant:
        raise call.refuse("rounds to fewer bits, which ONNX has no operator for")
    return x
