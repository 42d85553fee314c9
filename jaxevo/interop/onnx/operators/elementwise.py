# ruff: noqa: ARG001  # every operator takes the same arguments
"""Arithmetic, comparisons, logic, bits and types, one number at a time."""

import functools

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax import lax

from jaxevo.interop.onnx.dtypes import DTYPES, canonical, saturated
from jaxevo.interop.onnx.table import is_static, module_of, operator


def _of_one(name, function):
    @operator(name)
    def one(call, x):
        return getattr(module_of(x), function)(x)

    return one


def _of_two(name, function):
    @operator(name)
    def two(call, a, b):
        return getattr(module_of(a, b), function)(a, b)

    return two


def _of_many(name, function):
    @operator(name)
    def many(call, *values):
        return functools.reduce(getattr(module_of(*values), function), values)

    return many


for _name, _function in {
    "Abs": "abs",
    "Acos": "arccos",
    "Acosh": "arccosh",
    "Asin": "arcsin",
    "Asinh": "arcsinh",
    "Atan": "arctan",
    "Atanh": "arctanh",
    "BitwiseNot": "invert",
    "Ceil": "ceil",
    "Cos": "cos",
    "Cosh": "cosh",
    "Exp": "exp",
    "Floor": "floor",
    "IsNaN": "isnan",
    "Log": "log",
    "Neg": "negative",
    "Not": "logical_not",
    "Round": "round",
    "Sign": "sign",
    "Sin": "sin",
    "Sinh": "sinh",
    "Sqrt": "sqrt",
    "Tan": "tan",
}.items():
    _of_one(_name, _function)

for _name, _function in {
    "Add": "add",
    "And": "logical_and",
    "BitwiseAnd": "bitwise_and",
    "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor",
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
    "Mul": "multiply",
    "Or": "logical_or",
    "Sub": "subtract",
    "Xor": "logical_xor",
}.items():
    _of_two(_name, _function)

for _name, _function in {"Max": "maximum", "Min": "minimum", "Sum": "add"}.items():
    _of_many(_name, _function)


@operator("Mean")
def mean(call, *values):
    return functools.reduce(module_of(*values).add, values) / len(values)


@operator("Erf")
def erf(call, x):
    return lax.erf(jnp.asarray(x))


@operator("Reciprocal")
def reciprocal(call, x):
    return 1 / x


@operator("Div")
def div(call, a, b):
    xp = module_of(a, b)
    if not jnp.issubdtype(a.dtype, jnp.integer):
        return xp.divide(a, b)
    if xp is np:
        # Towards zero, as in C.
        quotient = np.floor_divide(a, b)
        return quotient + ((np.remainder(a, b) != 0) & (quotient < 0)).astype(quotient.dtype)
    return lax.div(*jnp.broadcast_arrays(a, b))


@operator("Mod")
def mod(call, a, b):
    xp = module_of(a, b)
    return xp.fmod(a, b) if call.get("fmod", 0) else xp.remainder(a, b)


@operator("Pow")
def power(call, a, b):
    xp = module_of(a, b)
    if xp is jnp and is_static(b) and b.size == 1 and float(b.reshape(())).is_integer() and a.dtype.kind != "i":
        # A whole exponent keeps gradients finite at zero and costs products only.
        shape = np.broadcast_shapes(a.shape, b.shape)
        return lax.integer_pow(a if a.shape == shape else a.reshape(shape), int(b.reshape(())))
    return xp.power(a, b).astype(a.dtype)


@operator("BitShift")
def bit_shift(call, a, b):
    xp = module_of(a, b)
    return xp.left_shift(a, b) if call.get("direction") == "LEFT" else xp.right_shift(a, b)


@operator("IsInf")
def is_inf(call, x):
    xp = module_of(x)
    found = xp.zeros(x.shape, bool)
    if call.get("detect_positive", 1):
        found = found | xp.isposinf(x)
    if call.get("detect_negative", 1):
        found = found | xp.isneginf(x)
    return found


@operator("Where")
def where(call, condition, a, b):
    return module_of(condition, a, b).where(condition, a, b)


@operator("Clip")
def clip(call, x, low=None, high=None):
    if call.opset < 11:
        low, high = call.get("min"), call.get("max")
    low, high = (_bound(call, bound, x.dtype) for bound in (low, high))
    if low == 0 and high == 6 and not is_static(x) and jnp.issubdtype(x.dtype, jnp.floating):
        return jax.nn.relu6(x)
    # The larger bound wins where the two are the wrong way round.
    x = x if low is None else module_of(x).maximum(x, low)
    return x if high is None else module_of(x).minimum(x, high)


def _bound(call, bound, dtype):
    if bound is None:
        return None
    bound = np.asarray(call.static(bound, "a bound") if hasattr(bound, "dtype") else bound).reshape(())
    return saturated(bound, dtype) if bound.dtype.kind in "iu" and dtype.kind in "iu" else bound.astype(dtype)


@operator("Cast")
def cast(call, x):
    return _cast(call, x, DTYPES.get(call.get("to")))


@operator("CastLike")
def cast_like(call, x, like):
    return _cast(call, x, np.dtype(like.dtype))


@operator("BitCast")
def bit_cast(call, x):
    dtype = DTYPES[call.get("to")]
    if module_of(x) is np:
        return np.ascontiguousarray(x).view(dtype)
    if canonical(dtype) != dtype or dtype.itemsize != x.dtype.itemsize:
        raise call.refuse(f"reads {x.dtype} as {dtype}, expected types of equal size that JAX computes with")
    return lax.bitcast_convert_type(x, dtype)


#: Types of 8 bits whose largest number stands for all that are larger.
_SATURATING = (ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e4m3fnuz, ml_dtypes.float8_e5m2, ml_dtypes.float8_e5m2fnuz)


def _cast(call, x, dtype):
    if dtype is None:
        raise call.refuse(f"casts to type {call.get('to')}, expected numbers")
    xp = module_of(x)
    if dtype.kind == "b":
        return x != 0
    if dtype.type in _SATURATING and call.get("saturate", 1):
        largest = float(ml_dtypes.finfo(dtype).max)
        x = xp.clip(xp.asarray(x, np.float32), -largest, largest)
    if xp is np:
        return x.astype(dtype)
    return x if x.dtype == canonical(dtype) else lax.convert_element_type(x, canonical(dtype))
