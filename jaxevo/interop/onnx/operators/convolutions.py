"""Convolutions of ONNX: N batch, C channels in, M channels out, then the spatial axes."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxevo.interop.onnx.operators.resizing import interpolate
from jaxevo.interop.onnx.table import Call, operator


class Window(NamedTuple):
    """How a kernel slides over the spatial axes; one entry per axis.

    kernel, strides, dilations: sizes in elements.
    pads: elements added before and after.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]

    @property
    def extents(self) -> tuple[int, ...]:
        """Elements that a dilated kernel spans."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))


def window_of(call: Call, spatial: tuple[int, ...], kernel: tuple[int, ...]) -> Window:
    """Reads strides, dilations, pads and auto_pad of a node.

    Args:
      call: the node.
      spatial: sizes of the spatial axes.
      kernel: sizes of the kernel.

    Raises:
      ValueError: where their numbers of axes differ, or auto_pad is unknown.
    """
    n = len(spatial)
    kernel = tuple(kernel)
    strides, dilations = tuple(call.get("strides") or (1,) * n), tuple(call.get("dilations") or (1,) * n)
    explicit = tuple(call.get("pads") or (0,) * 2 * n)
    if {len(kernel), len(strides), len(dilations), len(explicit) / 2} != {n}:
        raise call.refuse(
            f"kernel {kernel}, strides {strides}, dilations {dilations} and pads {explicit} do not fit {n} spatial axes"
        )
    window = Window(kernel, strides, dilations, tuple(zip(explicit[:n], explicit[n:], strict=True)))
    auto = call.get("auto_pad", "NOTSET")
    if auto == "NOTSET":
        return window
    if auto == "VALID":
        return window._replace(pads=((0, 0),) * n)
    totals = [
        max(0, (math.ceil(size / stride) - 1) * stride + extent - size)
        for size, stride, extent in zip(spatial, strides, window.extents, strict=True)
    ]
    return window._replace(pads=tuple(shared_pads(call, auto, total) for total in totals))


def shared_pads(call: Call, auto: str, total: int) -> tuple[int, int]:
    """Shares padding between both sides; an odd element goes to the end for SAME_UPPER, to the start for SAME_LOWER."""
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise call.refuse(f"auto_pad is {auto!r}, expected NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    small = total // 2
    return (small, total - small) if auto == "SAME_UPPER" else (total - small, small)


def convolve(call: Call, x, w, preferred=None):
    """Convolves x [N, C, ...] with w [M, C / group, ...] as a node's attributes say."""
    group = call.get("group", 1)
    if x.ndim != w.ndim or x.shape[1] != w.shape[1] * group or w.shape[0] % group:
        raise call.refuse(f"input {list(x.shape)} does not fit weights {list(w.shape)} in {group} groups")
    window = window_of(call, x.shape[2:], w.shape[2:])
    # Pictures in another precision than the file's weights are let in.
    kind = jnp.promote_types(x.dtype, w.dtype)
    return lax.conv_general_dilated(
        jnp.asarray(x, kind),
        jnp.asarray(w, kind),
        window.strides,
        window.pads,
        rhs_dilation=window.dilations,
        feature_group_count=group,
        preferred_element_type=preferred,
    )


def per_channel(vector, rank: int):
    """Reshapes [M] so that it runs along axis 1 of an array of this rank; a scalar stays one."""
    return vector if vector.ndim == 0 else vector.reshape((1, -1) + (1,) * (rank - 2))


@operator("Conv")
def conv(call, x, w, b=None):
    y = convolve(call, x, w)
    return y if b is None else y + per_channel(b, y.ndim)


@operator("ConvTranspose")
def conv_transpose(call, x, w, b=None):
    # The gradient of a convolution: the input is spread by the strides and convolved with the flipped kernel.
    group, n = call.get("group", 1), x.ndim - 2
    if x.ndim != w.ndim or x.shape[1] != w.shape[0] or w.shape[0] % group:
        raise call.refuse(f"input {list(x.shape)} does not fit weights {list(w.shape)} in {group} groups")
    window, further = _transposed_window(call, x.shape[2:], w.shape[2:])
    w = w.reshape(group, w.shape[0] // group, *w.shape[1:]).swapaxes(1, 2)
    w = jnp.flip(w.reshape(-1, *w.shape[2:]), tuple(range(2, n + 2)))
    y = lax.conv_general_dilated(
        jnp.asarray(x),
        w,
        (1,) * n,
        tuple(
            (extent - 1 - before, extent - 1 - after + more)
            for extent, (before, after), more in zip(window.extents, window.pads, further, strict=True)
        ),
        lhs_dilation=window.strides,
        rhs_dilation=window.dilations,
        feature_group_count=group,
    )
    return y if b is None else y + per_channel(b, y.ndim)


def _transposed_window(call, spatial, kernel) -> tuple[Window, tuple[int, ...]]:
    """Returns the window of a transposed convolution and what its output gains at the end of each axis."""
    n = len(spatial)
    auto, shape = call.get("auto_pad", "NOTSET"), call.get("output_shape")
    further = tuple(call.get("output_padding") or (0,) * n)
    window = window_of(call._replace(attributes={**call.attributes, "auto_pad": "NOTSET"}), spatial, kernel)
    if auto == "VALID":
        window = window._replace(pads=((0, 0),) * n)
    if shape is None and auto in ("NOTSET", "VALID"):
        return window, further
    if shape is None:
        shape = tuple(size * stride for size, stride in zip(spatial, window.strides, strict=True))
    whole = tuple(
        stride * (size - 1) + more + extent
        for stride, size, more, extent in zip(window.strides, spatial, further, window.extents, strict=True)
    )
    side = auto if auto == "SAME_UPPER" else "SAME_LOWER"
    pads = tuple(shared_pads(call, side, max(0, full - out)) for full, out in zip(whole, shape[-n:], strict=True))
    # Where a larger output is asked for than the input reaches, the rest is zero and lies at the end.
    further = tuple(more + max(0, out - full) for more, full, out in zip(further, whole, shape[-n:], strict=True))
    return window._replace(pads=pads), further


@operator("ConvInteger")
def conv_integer(call, x, w, x_zero=None, w_zero=None):
    return convolve(call, shifted(x, x_zero), shifted(w, w_zero, axis=0), jnp.int32)


def shifted(x, zero, axis: int | None = None):
    """Returns `x - zero` in int32; a vector of zero points runs along `axis`."""
    x = jnp.asarray(x).astype(jnp.int32)
    if zero is None:
        return x
    zero = jnp.asarray(zero).astype(jnp.int32)
    if axis is not None and zero.ndim == 1 and zero.size > 1:
        zero = zero.reshape(tuple(-1 if i == axis % x.ndim else 1 for i in range(x.ndim)))
    return x - (zero.reshape(()) if zero.size == 1 else zero)


@operator("DeformConv")
def deform_conv(call, x, w, offset, b=None, mask=None):
    # Arrays run over batch, groups of offsets, elements of the kernel, and positions of the output.
    group, groups, n = call.get("group", 1), call.get("offset_group", 1), x.ndim - 2
    window = window_of(call, x.shape[2:], w.shape[2:])
    size, out = math.prod(window.kernel), offset.shape[2:]
    taps, steps = np.indices(window.kernel).reshape(n, size, *(1,) * n), np.indices(out)[:, None]
    grids = [
        tap * dilation + step * stride - before
        for tap, step, dilation, stride, (before, _) in zip(
            taps, steps, window.dilations, window.strides, window.pads, strict=True
        )
    ]
    offset = offset.reshape(x.shape[0], groups, size, n, *out)
    points = [grids[axis].astype(x.dtype) + offset[:, :, :, axis] for axis in range(n)]
    features = interpolate(x.reshape(x.shape[0], groups, -1, *x.shape[2:]), points)
    if mask is not None:
        features = features * mask.reshape(x.shape[0], groups, 1, size, *out)
    features = features.reshape(x.shape[0], group, -1, size, math.prod(out))
    w = w.reshape(group, w.shape[0] // group, w.shape[1], size)
    y = jnp.einsum("ngckp,gock->ngop", features, w).reshape(x.shape[0], -1, *out)
    return y if b is None else y + per_channel(b, y.ndim)


@operator("Col2Im")
def col2im(call, x, image_shape, block_shape):
    image = tuple(int(size) for size in call.static(image_shape, "image_shape"))
    window = window_of(call, image, tuple(int(size) for size in call.static(block_shape, "block_shape")))
    padded = tuple(size + before + after for size, (before, after) in zip(image, window.pads, strict=True))
    blocks = [
        (size - extent) // stride + 1
        for size, extent, stride in zip(padded, window.extents, window.strides, strict=True)
    ]
    call.check_room((*window.kernel, *blocks))
    places = np.zeros((1, 1), np.int32)  # [elements of the block, blocks]: where in the padded image each value belongs
    for size, extent, kernel, stride, dilation in zip(
        padded, window.extents, window.kernel, window.strides, window.dilations, strict=True
    ):
        axis = np.add.outer(np.arange(kernel) * dilation, np.arange(0, size - extent + 1, stride))
        places = places[:, None, :, None] * size + axis[None, :, None, :]
        places = places.reshape(places.shape[0] * kernel, -1)
    if x.shape[1] % places.shape[0] or x.shape[2] != places.shape[1]:
        raise call.refuse(
            f"input {list(x.shape)} does not fit {places.shape[0]} x {places.shape[1]} values per channel"
        )
    values = x.reshape(x.shape[0], -1, *places.shape)
    y = jnp.zeros((*values.shape[:2], math.prod(padded)), x.dtype).at[:, :, places].add(values)
    y = y.reshape(*values.shape[:2], *padded)
    inner = (slice(before, before + size) for size, (before, _) in zip(image, window.pads, strict=True))
    return y[(slice(None), slice(None), *inner)]
