"""Quantisation of ONNX: a real number is `(quantised - zero point) * scale`."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxevo.interop.onnx.dtypes import DTYPES, canonical
from jaxevo.interop.onnx.operators.convolutions import convolve, per_channel, shifted
from jaxevo.interop.onnx.operators.products import contract
from jaxevo.interop.onnx.table import Call, operator


def element_type(call: Call, code: int) -> np.dtype:
    """Returns the dtype of one of ONNX's codes."""
    if code not in DTYPES:
        raise call.refuse(f"element type {code} is not supported, expected one of {sorted(DTYPES)}")
    return canonical(DTYPES[code])


def _spread(call: Call, value, x):
    """Brings a scale or a zero point into a shape that broadcasts with x: of one value, along an axis, or in blocks."""
    value = jnp.asarray(value)
    if value.size == 1:
        return value.reshape(())
    axis, block = call.get("axis", 1) % x.ndim, call.get("block_size", 0)
    if value.ndim == 1 and not block:
        return value.reshape(tuple(-1 if i == axis else 1 for i in range(x.ndim)))
    if value.ndim != x.ndim or not block:
        raise call.refuse(f"a scale of shape {list(value.shape)} does not fit an input {list(x.shape)}")
    return jnp.repeat(value, block, axis, total_repeat_length=block * value.shape[axis])[
        tuple(slice(size) for size in x.shape)
    ]


def saturated(x, zero, dtype):
    """Rounds x half to even, adds the zero point, and holds the sum in the range of an integer dtype."""
    limits = jnp.iinfo(dtype)
    x = jnp.round(x).astype(jnp.float32)
    x = x if zero is None else x + zero.astype(jnp.float32)
    return jnp.clip(x, float(limits.min), float(limits.max)).astype(jnp.int32).astype(dtype)


def divided(x, scale):
    """Divides by a scale, rounded once."""
    # XLA makes a product with the reciprocal of a division by one broadcast number; that can move a quotient across a
    # half, and then the rounded result is one off.
    return x / lax.optimization_barrier(jnp.broadcast_to(scale, x.shape))


@operator("QuantizeLinear")
def quantize_linear(call, x, scale, zero=None):
    code = call.get("output_dtype", 0)
    dtype = np.dtype(zero.dtype if zero is not None else element_type(call, code) if code else np.uint8)
    scale = _spread(call, scale, x)
    precision = element_type(call, call.get("precision")) if call.get("precision", 0) else scale.dtype
    precision = precision if jnp.issubdtype(precision, jnp.floating) else jnp.float32
    x = divided(jnp.asarray(x).astype(precision), scale.astype(precision))
    zero = None if zero is None else _spread(call, zero, x)
    if jnp.issubdtype(dtype, jnp.integer):
        return saturated(x, zero, dtype)
    limit = float(jnp.finfo(dtype).max)
    # Formats of less than 8 bits have no infinity to overflow to, so they always saturate.
    saturate = call.get("saturate", 1) or jnp.finfo(dtype).bits < 8
    x = x.astype(jnp.float32) if zero is None else x.astype(jnp.float32) + zero.astype(jnp.float32)
    return (jnp.clip(x, -limit, limit) if saturate else x).astype(dtype)


@operator("DequantizeLinear")
def dequantize_linear(call, x, scale, zero=None):
    code = call.get("output_dtype", 0)
    scale, x = _spread(call, scale, x), jnp.asarray(x)
    y = x.astype(jnp.float32) if zero is None else x.astype(jnp.float32) - _spread(call, zero, x).astype(jnp.float32)
    return (y * scale.astype(jnp.float32)).astype(element_type(call, code) if code else scale.dtype)


@operator("DynamicQuantizeLinear")
def dynamic_quantize_linear(_call, x):
    x = jnp.asarray(x)
    low, high = jnp.minimum(x.min(), 0), jnp.maximum(x.max(), 0)
    scale = divided(jnp.where(low == high, 1, high - low), jnp.asarray(255, x.dtype))
    zero = saturated(-low / scale, None, jnp.uint8)
    return saturated(divided(x, scale), zero, jnp.uint8), scale, zero


@operator("QLinearConv")
def qlinear_conv(call, x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, b=None):
    y = convolve(call, shifted(x, x_zero), shifted(w, w_zero, axis=0), jnp.int32)
    y = y if b is None else y + per_channel(b, y.ndim)
    scale = per_channel(jnp.asarray(x_scale).reshape(()) * w_scale / jnp.asarray(y_scale).reshape(()), y.ndim)
    return saturated(y * scale, jnp.asarray(y_zero).reshape(()), y_zero.dtype)


@operator("QLinearMatMul")
def qlinear_matmul(_call, a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero):
    y = jnp.matmul(shifted(a, a_zero, axis=-2), shifted(b, b_zero, axis=-1), preferred_element_type=jnp.int32)
    rows = a_scale[:, None] if a_scale.ndim == 1 and a_scale.size > 1 else a_scale
    scale = (rows.astype(jnp.float32) * b_scale.astype(jnp.float32)) / y_scale.astype(jnp.float32)
    return saturated(y * (scale.reshape(()) if scale.size == 1 else scale), y_zero, y_zero.dtype)


@operator("QLinearAdd", domain="com.microsoft")
def qlinear_add(_call, a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero=None):
    total = shifted(a, a_zero) * a_scale + shifted(b, b_zero) * b_scale
    return saturated(divided(total, y_scale), y_zero, a.dtype)


@operator("QGemm", domain="com.microsoft")
def qgemm(call, a, a_scale, a_zero, b, b_scale, b_zero, c=None, y_scale=None, y_zero=None):
    columns = -2 if call.get("transB", 0) else -1
    y = contract(shifted(a, a_zero), shifted(b, b_zero, axis=columns), call.get("transA", 0), call.get("transB", 0))
    y = y if c is None else y + c
    y = y * (call.get("alpha", 1.0) * a_scale * b_scale)
    return y if y_scale is None else saturated(divided(y, y_scale), y_zero, a.dtype)
