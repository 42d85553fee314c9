"""Reductions of ONNX, over the axes of an attribute or, in newer opsets, of an input."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.interop.onnx.table import module_of, operator


def _reduction(name, function):
    @operator(name)
    def reduction(call, x, axes=None):
        found = call.get("axes") if axes is None else call.static(axes, "axes").reshape(-1).tolist()
        if not found and call.get("noop_with_empty_axes", 0):
            # Only what is done to each number before and after the sum is left.
            return function(module_of(x), x[None], (0,), False)
        return function(module_of(x), x, tuple(found) if found else None, bool(call.get("keepdims", 1)))

    return reduction


def _sum(xp, x, axes, keep):
    return xp.sum(x, axes, keepdims=keep, dtype=x.dtype)


def _mean(xp, x, axes, keep):
    if jnp.issubdtype(x.dtype, jnp.integer):
        total = _sum(xp, x, axes, keep)
        # Towards zero, as a division of C is.
        return (xp.sign(total) * (xp.abs(total) // (x.size // max(total.size, 1)))).astype(x.dtype)
    return xp.mean(x, axes, keepdims=keep)


def _largest(xp, x, axes, keep):
    if x.size:
        return xp.max(x, axes, keepdims=keep)
    return xp.max(x, axes, keepdims=keep, initial=_lowest(x.dtype))


def _smallest(xp, x, axes, keep):
    if x.size:
        return xp.min(x, axes, keepdims=keep)
    return xp.min(x, axes, keepdims=keep, initial=_highest(x.dtype))


def _lowest(dtype):
    if dtype.kind == "b":
        return False
    return -np.inf if jnp.issubdtype(dtype, jnp.floating) else np.iinfo(dtype).min


def _highest(dtype):
    if dtype.kind == "b":
        return True
    return np.inf if jnp.issubdtype(dtype, jnp.floating) else np.iinfo(dtype).max


def _log_sum_exp(_, x, axes, keep):
    return jax.nn.logsumexp(jnp.asarray(x), axes, keepdims=keep)


for _name, _function in {
    "ReduceL1": lambda xp, x, axes, keep: _sum(xp, xp.abs(x), axes, keep),
    "ReduceL2": lambda xp, x, axes, keep: xp.sqrt(_sum(xp, xp.square(x), axes, keep)).astype(x.dtype),
    "ReduceLogSum": lambda xp, x, axes, keep: xp.log(_sum(xp, x, axes, keep)),
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceMax": _largest,
    "ReduceMean": _mean,
    "ReduceMin": _smallest,
    "ReduceProd": lambda xp, x, axes, keep: xp.prod(x, axes, keepdims=keep, dtype=x.dtype),
    "ReduceSum": _sum,
    "ReduceSumSquare": lambda xp, x, axes, keep: _sum(xp, xp.square(x), axes, keep),
}.items():
    _reduction(_name, _function)


@operator("ArgMax")
def arg_max(call, x):
    return _arg(call, x, "argmax")


@operator("ArgMin")
def arg_min(call, x):
    return _arg(call, x, "argmin")


def _arg(call, x, function):
    xp, axis = module_of(x), call.get("axis", 0)
    if call.get("select_last_index", 0):
        found = x.shape[axis] - 1 - getattr(xp, function)(xp.flip(x, axis), axis)
    else:
        found = getattr(xp, function)(x, axis)
    return xp.expand_dims(found, axis) if call.get("keepdims", 1) else found


@operator("CumSum")
def cumulative_sum(call, x, axis):
    return _cumulative(call, x, axis, "cumsum", 0)


@operator("CumProd")
def cumulative_product(call, x, axis):
    return _cumulative(call, x, axis, "cumprod", 1)


def _cumulative(call, x, axis, function, neutral):
    xp, axis = module_of(x), int(call.static(axis, "axis").reshape(()))
    axis += x.ndim if axis < 0 else 0
    x = xp.flip(x, axis) if call.get("reverse", 0) else x
    if call.get("exclusive", 0):
        kept = (slice(None),) * axis + (slice(0, max(x.shape[axis] - 1, 0)),)
        start = xp.full((*x.shape[:axis], min(x.shape[axis], 1), *x.shape[axis + 1 :]), neutral, x.dtype)
        x = xp.concatenate([start, x[kept]], axis)
    total = getattr(xp, function)(x, axis, dtype=x.dtype)
    return xp.flip(total, axis) if call.get("reverse", 0) else total
