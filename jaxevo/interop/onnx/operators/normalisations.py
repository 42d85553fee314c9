"""Normalisations of ONNX, in inference mode. Statistics are gathered in float32 at least."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxevo.interop.onnx.operators.convolutions import per_channel
from jaxevo.interop.onnx.table import operator


@operator("BatchNormalization")
def batch_normalization(call, x, scale, b, mean, var):
    if call.get("training_mode", 0) or any(call.outputs[1:]):
        raise call.refuse("it is in training mode, expected inference; export the model after model.eval()")
    if call.get("spatial", 1) == 0:
        raise call.refuse("spatial is 0, expected 1: statistics per position are not supported")
    scale, b, mean, var = (per_channel(value, max(x.ndim, 2)) for value in (scale, b, mean, var))
    if x.ndim == 1:
        scale, b, mean, var = (value.reshape(()) for value in (scale, b, mean, var))
    y = (x - mean) * (lax.rsqrt(var + call.get("epsilon", 1e-5)) * scale) + b
    return y.astype(x.dtype)


@operator("InstanceNormalization")
def instance_normalization(call, x, scale, b):
    y = standardised(x, tuple(range(2, x.ndim)), call.get("epsilon", 1e-5))[0]
    return y * per_channel(scale, x.ndim) + per_channel(b, x.ndim)


def standardised(x, axes: tuple[int, ...], epsilon: float):
    """Returns x with mean 0 and variance 1 over `axes`, in its own dtype, the mean, and the inverse deviation."""
    wide = jnp.asarray(x).astype(jnp.promote_types(x.dtype, jnp.float32))
    mean = wide.mean(axes, keepdims=True)
    centred = wide - mean
    inverse = lax.rsqrt((centred * centred).mean(axes, keepdims=True) + epsilon)
    return (centred * inverse).astype(x.dtype), mean, inverse


@operator("LayerNormalization")
def layer_normalization(call, x, scale, b=None):
    axes = tuple(range(call.get("axis", -1) % x.ndim, x.ndim))
    y, mean, inverse = standardised(x, axes, call.get("epsilon", 1e-5))
    y = y * scale
    return (y if b is None else y + b), mean, inverse


@operator("GroupNormalization")
def group_normalization(call, x, scale, bias):
    groups = call.attributes["num_groups"]
    if x.shape[1] % groups:
        raise call.refuse(f"{x.shape[1]} channels cannot be divided into {groups} groups")
    grouped = x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    y = standardised(grouped, tuple(range(2, grouped.ndim)), call.get("epsilon", 1e-5))[0]
    # Before opset 21 there is one scale and one bias per group, since then one per channel.
    if call.opset < 21:
        return (y * per_channel(scale, y.ndim) + per_channel(bias, y.ndim)).reshape(x.shape)
    return y.reshape(x.shape) * per_channel(scale, x.ndim) + per_channel(bias, x.ndim)


@operator("RMSNormalization")
def rms_normalization(call, x, scale):
    axes = tuple(range(call.get("axis", -1) % x.ndim, x.ndim))
    wide = jnp.asarray(x).astype(jnp.promote_types(x.dtype, jnp.float32))
    y = wide * lax.rsqrt((wide * wide).mean(axes, keepdims=True) + call.get("epsilon", 1e-5))
    return y.astype(x.dtype).astype(scale.dtype) * scale


@operator("LRN")
def lrn(call, x):
    size = call.attributes["size"]
    before = (size - 1) // 2
    ones = (1,) * (x.ndim - 2)
    wide = jnp.asarray(x).astype(jnp.promote_types(x.dtype, jnp.float32))
    squares = lax.reduce_window(
        wide * wide,
        np.zeros((), wide.dtype),
        lax.add,
        (1, size, *ones),
        (1,) * x.ndim,
        ((0, 0), (before, size - 1 - before), *((0, 0) for _ in ones)),
    )
    share = call.get("alpha", 1e-4) / size
    return (wide / (call.get("bias", 1.0) + share * squares) ** call.get("beta", 0.75)).astype(x.dtype)


@operator("MeanVarianceNormalization")
def mean_variance_normalization(call, x):
    axes = tuple(call.get("axes", (0, 2, 3)))
    centred = x - x.mean(axes, keepdims=True)
    # 1e-9 is what the operator's own function body adds to the deviation.
    return centred / (root(jnp.square(centred).mean(axes, keepdims=True), 2) + 1e-9)


@operator("LpNormalization")
def lp_normalization(call, x):
    size = lp_norm(x, call.get("p", 2), call.get("axis", -1))
    return x / jnp.where(size == 0, 1, size)


def lp_norm(x, p: int, axes) -> jax.Array:
    """Returns the Lp norm over `axes`, which stay with size 1."""
    return root((jnp.abs(x) ** p).sum(axes, keepdims=True), p)


def root(x, p: int) -> jax.Array:
    """Returns the p-th root of what is not negative, with gradient 0 where it is 0."""
    positive = x > 0
    safe = jnp.where(positive, x, 1)
    return jnp.where(positive, jnp.sqrt(safe) if p == 2 else safe ** (1 / p), 0)
