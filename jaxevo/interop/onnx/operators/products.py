"""Matrix products of ONNX. Products of integers accumulate in int32."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jaxevo.interop.onnx.operators.convolutions import shifted
from jaxevo.interop.onnx.table import is_static, operator


@operator("MatMul")
def matmul(_call, a, b):
    return jnp.matmul(a, b)


@operator("Gemm")
def gemm(call, a, b, c=None):
    y = contract(a, b, call.get("transA", 0), call.get("transB", 0))
    y = scaled(y, call.get("alpha", 1.0))
    return y if c is None else y + scaled(c, call.get("beta", 1.0))


def contract(a, b, transposed_a, transposed_b):
    """Multiplies two matrices, each transposed or not, without a transposition in the graph."""
    axes = ((0 if transposed_a else 1,), (1 if transposed_b else 0,))
    a, b = jnp.asarray(a), jnp.asarray(b)
    return lax.dot_general(a, b, (axes, ((), ())))


def scaled(x, factor: float):
    """Multiplies in the dtype of x, integers included."""
    return x if factor == 1 else (factor * x).astype(x.dtype)


@operator("FusedMatMul", domain="com.microsoft")
def fused_matmul(call, a, b):
    if call.get("transBatchA", 0) or call.get("transBatchB", 0):
        raise call.refuse("transBatchA and transBatchB are not supported, expected 0")
    a = jnp.swapaxes(a, -1, -2) if call.get("transA", 0) else a
    b = jnp.swapaxes(b, -1, -2) if call.get("transB", 0) else b
    return scaled(jnp.matmul(a, b), call.get("alpha", 1.0))


@operator("Einsum")
def einsum(call, *inputs):
    equation = call.attributes["equation"].replace(" ", "")
    if is_static(*inputs):
        call.check_room(jax.eval_shape(functools.partial(jnp.einsum, equation), *inputs).shape)
    return jnp.einsum(equation, *inputs)


@operator("MatMulInteger")
def matmul_integer(_call, a, b, a_zero=None, b_zero=None):
    return jnp.matmul(shifted(a, a_zero, axis=-2), shifted(b, b_zero, axis=-1), preferred_element_type=jnp.int32)


@operator("Det")
def det(_call, x):
    return jnp.linalg.det(x.astype(jnp.promote_types(x.dtype, jnp.float32))).astype(x.dtype)
