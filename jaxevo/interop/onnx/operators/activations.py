# ruff: noqa: ARG001  # every operator takes the same arguments
"""Activations of ONNX."""

import math

import jax
import jax.numpy as jnp

from jaxevo.interop.onnx.table import operator


def _plain(name, function):
    @operator(name)
    def activation(call, x):
        return function(x)

    return activation


for _name, _function in {
    "Relu": jax.nn.relu,
    "Sigmoid": jax.nn.sigmoid,
    "Softplus": jax.nn.softplus,
    "Softsign": jax.nn.soft_sign,
    "Mish": jax.nn.mish,
    "Tanh": jnp.tanh,
}.items():
    _plain(_name, _function)


@operator("LeakyRelu")
def leaky_relu(call, x):
    return jax.nn.leaky_relu(x, call.get("alpha", 0.01))


@operator("PRelu")
def prelu(call, x, slope):
    return jnp.where(x < 0, slope * x, x)


@operator("ThresholdedRelu")
def thresholded_relu(call, x):
    return jnp.where(x > call.get("alpha", 1.0), x, jnp.zeros_like(x))


@operator("Elu")
def elu(call, x):
    return jax.nn.elu(x, call.get("alpha", 1.0))


@operator("Celu")
def celu(call, x):
    return jax.nn.celu(x, call.get("alpha", 1.0))


@operator("Selu")
def selu(call, x):
    # ONNX's constants are rounded to float32.
    alpha, gamma = call.get("alpha", 1.67326319217681884765625), call.get("gamma", 1.05070102214813232421875)
    return gamma * jax.nn.elu(x, alpha)


@operator("HardSigmoid")
def hard_sigmoid(call, x):
    return jnp.clip(call.get("alpha", 0.2) * x + call.get("beta", 0.5), 0, 1)


@operator("HardSwish")
def hard_swish(call, x):
    return x * jnp.clip(x / 6 + 0.5, 0, 1)


@operator("Swish")
def swish(call, x):
    alpha = call.get("alpha", 1.0)
    return jax.nn.silu(x) if alpha == 1 else x * jax.nn.sigmoid(alpha * x)


@operator("SwiGLU")
def swiglu(call, gate, x):
    return swish(call, gate) * x


@operator("QuickGelu", domain="com.microsoft")
def quick_gelu(call, x):
    return x * jax.nn.sigmoid(call.get("alpha", 1.702) * x)


@operator("Gelu")
def gelu(call, x):
    return jax.nn.gelu(x, approximate=call.get("approximate", "none") == "tanh")


@operator("Gelu", domain="com.microsoft")
def exact_gelu(call, x):
    return jax.nn.gelu(x, approximate=False)


@operator("BiasGelu", domain="com.microsoft")
def bias_gelu(call, x, bias):
    return jax.nn.gelu(x + bias, approximate=False)


@operator("FastGelu", domain="com.microsoft")
def fast_gelu(call, x, bias=None):
    return jax.nn.gelu(x if bias is None else x + bias, approximate=True)


@operator("Shrink")
def shrink(call, x):
    bias, bound = call.get("bias", 0.0), call.get("lambd", 0.5)
    shrunk = jnp.where(x > bound, x - bias, jnp.zeros_like(x))
    return jnp.where(x < -bound, x + bias, shrunk).astype(x.dtype)


@operator("Softmax")
def softmax(call, x):
    return jax.nn.softmax(x, _axes(call, x))


@operator("LogSoftmax")
def log_softmax(call, x):
    return jax.nn.log_softmax(x, _axes(call, x))


@operator("Hardmax")
def hardmax(call, x):
    axes = _axes(call, x)
    if isinstance(axes, int):
        return jax.nn.one_hot(jnp.argmax(x, axes), x.shape[axes], axis=axes, dtype=x.dtype)
    flat = x.reshape(*x.shape[: axes[0]], math.prod(x.shape[axes[0] :])) if axes else x[..., None]
    return jax.nn.one_hot(jnp.argmax(flat, -1), flat.shape[-1], dtype=x.dtype).reshape(x.shape)


def _axes(call, x) -> int | tuple[int, ...]:
    """Returns the axes over which numbers add up to 1: one since opset 13, before it one and all after it."""
    if call.opset >= 13:
        return call.get("axis", -1)
    first = call.get("axis", 1)
    return tuple(range(first + x.ndim if first < 0 else first, x.ndim))
