"""Pooling of ONNX over windows and over all spatial axes."""

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxevo.interop.onnx.operators.convolutions import Window, window_of
from jaxevo.interop.onnx.operators.normalisations import lp_norm, root
from jaxevo.interop.onnx.table import operator


def _windows(call, x) -> tuple[Window, tuple[int, ...]]:
    """Returns the window of a pool, padded as far as its last place reaches, and the sizes of the output."""
    spatial = x.shape[2:]
    window = window_of(call, spatial, call.attributes["kernel_shape"])
    rounding, pads, sizes = math.ceil if call.get("ceil_mode", 0) else math.floor, [], []
    for size, extent, stride, (before, after) in zip(spatial, window.extents, window.strides, window.pads, strict=True):
        count = rounding((size + before + after - extent) / stride) + 1
        # A window that would start in the padding after the input is left out.
        if rounding is math.ceil and (count - 1) * stride >= size + before:
            count -= 1
        pads.append((before, max(after, (count - 1) * stride + extent - size - before)))
        sizes.append(count)
    return window._replace(pads=tuple(pads)), tuple(sizes)


def _reduce(x, window: Window, sizes, start, function):
    """Reduces every window of x [N, C, ...]; `start` is the neutral element."""
    y = lax.reduce_window(
        x,
        np.asarray(start, x.dtype),
        function,
        (1, 1, *window.kernel),
        (1, 1, *window.strides),
        ((0, 0), (0, 0), *window.pads),
        window_dilation=(1, 1, *window.dilations),
    )
    return y[(slice(None), slice(None), *map(slice, sizes))]


def _places(window: Window, sizes) -> list[np.ndarray]:
    """Returns for each axis [output, kernel]: which element of the input lies there, beyond its ends in the padding."""
    return [
        np.add.outer(np.arange(n) * stride - before, np.arange(k) * dilation)
        for n, k, stride, dilation, (before, _) in zip(
            sizes, window.kernel, window.strides, window.dilations, window.pads, strict=True
        )
    ]


@operator("MaxPool")
def max_pool(call, x):
    x = jnp.asarray(x)
    window, sizes = _windows(call, x)
    lowest = -np.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min
    # JAX has no gradient for a maximum over dilated windows, so these are gathered, as for indices.
    if set(window.dilations) == {1} and not any(call.outputs[1:]):
        return _reduce(x, window, sizes, lowest, lax.max)
    spatial = x.shape[2:]
    flat, order, inside = np.zeros((1, 1), int), np.zeros((1, 1), int), np.ones((1, 1), bool)
    stride = 1
    for axis, (places, size) in enumerate(zip(_places(window, sizes), spatial, strict=True)):
        rows, columns = flat.shape[0] * places.shape[0], flat.shape[1] * places.shape[1]
        held, among = np.clip(places, 0, size - 1)[None, :, None, :], (places >= 0) & (places < size)
        flat = (flat[:, None, :, None] * size + held).reshape(rows, columns)
        inside = (inside[:, None, :, None] & among[None, :, None, :]).reshape(rows, columns)
        # Indices count along the last axis first, or along the first axis where storage_order is 1.
        outer = math.prod(spatial[axis + 1 :]) if not call.get("storage_order", 0) else stride
        order = (order[:, None, :, None] + held * outer).reshape(rows, columns)
        stride *= size
    patches = jnp.where(inside, x.reshape(*x.shape[:2], -1)[:, :, flat], lowest)
    best = patches.argmax(-1, keepdims=True)
    channels = np.arange(math.prod(x.shape[:2])).reshape(*x.shape[:2], 1) * stride
    index = jnp.take_along_axis(jnp.asarray(order)[None, None], best, -1)[..., 0] + channels
    values = jnp.take_along_axis(patches, best, -1)
    return values.reshape(*x.shape[:2], *sizes), index.reshape(*x.shape[:2], *sizes)


@operator("AveragePool")
def average_pool(call, x):
    window, sizes = _windows(call, x)
    declared = window_of(call, x.shape[2:], window.kernel)
    wide = jnp.asarray(x).astype(jnp.promote_types(x.dtype, jnp.float32))
    total = _reduce(wide, window, sizes, 0, lax.add)
    counts = np.ones(())
    for places, size, (before, after) in zip(_places(window, sizes), x.shape[2:], declared.pads, strict=True):
        first, last = (-before, size + after) if call.get("count_include_pad", 0) else (0, size)
        counts = np.multiply.outer(counts, ((places >= first) & (places < last)).sum(1))
    return (total / counts.astype(wide.dtype)).astype(x.dtype)


@operator("LpPool")
def lp_pool(call, x):
    p = call.get("p", 2)
    window, sizes = _windows(call, x)
    powers = jnp.abs(jnp.asarray(x)).astype(jnp.promote_types(x.dtype, jnp.float32)) ** p
    return root(_reduce(powers, window, sizes, 0, lax.add), p).astype(x.dtype)


@operator("GlobalAveragePool")
def global_average_pool(_call, x):
    return x.mean(tuple(range(2, x.ndim)), keepdims=True)


@operator("GlobalMaxPool")
def global_max_pool(_call, x):
    return x.max(tuple(range(2, x.ndim)), keepdims=True)


@operator("GlobalLpPool")
def global_lp_pool(call, x):
    return lp_norm(x, call.get("p", 2), tuple(range(2, x.ndim)))


@operator("MaxUnpool")
def max_unpool(call, x, indices, output_shape=None):
    window = window_of(call, x.shape[2:], call.attributes["kernel_shape"])
    shape = x.shape[:2] + tuple(
        (size - 1) * stride + kernel - before - after
        for size, stride, kernel, (before, after) in zip(
            x.shape[2:], window.strides, window.kernel, window.pads, strict=True
        )
    )
    y = jnp.zeros(math.prod(shape), x.dtype).at[jnp.asarray(indices).reshape(-1)].set(x.reshape(-1)).reshape(shape)
    if output_shape is None:
        return y
    # The indices count in the shape that the window implies; a larger one that is asked for is filled with zeros.
    wanted = tuple(int(size) for size in call.static(output_shape, "output_shape"))
    return jnp.pad(y, [(0, want - have) for want, have in zip(wanted, shape, strict=True)])
