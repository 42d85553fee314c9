# ruff: noqa: ARG001  # every operator takes the same arguments
"""Shapes: what is known of them without running anything, and operators that lay numbers out anew."""

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxevo.interop.onnx.table import MOST_REPEATED, is_static, module_of, operator


@operator("Shape")
def shape(call, x):
    return np.asarray(np.shape(x)[slice(call.get("start", 0), call.get("end"))], np.int64)


@operator("Size")
def size(call, x):
    return np.asarray(math.prod(np.shape(x)), np.int64)


@operator("Identity")
def identity(call, x):
    return x


@operator("Dropout")
def dropout(call, x, ratio=None, training=None):
    if training is not None and bool(call.static(training, "training_mode").all()):
        raise call.refuse("drops numbers at random (training_mode), expected inference; export the model in eval mode")
    mask = module_of(x).ones(x.shape, bool if call.opset >= 10 else x.dtype) if len(call.outputs) > 1 else None
    return x, mask


@operator("Reshape")
def reshape(call, x, target):
    sizes = [int(n) for n in call.static(target, "shape")]
    if not call.get("allowzero", 0):
        sizes = [x.shape[axis] if n == 0 else n for axis, n in enumerate(sizes)]
    return module_of(x).reshape(x, sizes)


@operator("Flatten")
def flatten(call, x):
    axis = call.get("axis", 1)
    axis += np.ndim(x) if axis < 0 else 0
    return module_of(x).reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


@operator("Squeeze")
def squeeze(call, x, axes=None):
    found = _axes(call, axes)
    return module_of(x).squeeze(x, None if found is None else tuple(found))


@operator("Unsqueeze")
def unsqueeze(call, x, axes=None):
    return module_of(x).expand_dims(x, tuple(_axes(call, axes) or ()))


def _axes(call, axes):
    return call.get("axes") if axes is None else call.static(axes, "axes").reshape(-1).tolist()


@operator("Transpose")
def transpose(call, x):
    return module_of(x).transpose(x, call.get("perm"))


@operator("Expand")
def expand(call, x, target):
    shape = np.broadcast_shapes(np.shape(x), tuple(int(n) for n in call.static(target, "shape")))
    if is_static(x):
        call.check_room(shape, MOST_REPEATED)
    return module_of(x).broadcast_to(x, shape)


@operator("Tile")
def tile(call, x, repeats):
    times = tuple(int(n) for n in call.static(repeats, "repeats"))
    if is_static(x):
        call.check_room([n * k for n, k in zip(x.shape, times, strict=True)])
    return module_of(x).tile(x, times)


@operator("Concat")
def concat(call, *parts):
    axis = call.get("axis", 1)
    if is_static(*parts):
        shape = list(parts[0].shape)
        shape[axis] = sum(part.shape[axis] for part in parts)
        call.check_room(shape)
    return module_of(*parts).concatenate(parts, axis)


@operator("Split")
def split(call, x, sizes=None):
    axis = call.get("axis", 0)
    axis += x.ndim if axis < 0 else 0
    if sizes is not None:
        lengths = [int(n) for n in call.static(sizes, "split")]
    elif call.get("split") is not None:
        lengths = list(call.get("split"))
    else:
        count = call.get("num_outputs", len(call.outputs))
        if count != len(call.outputs):
            raise call.refuse(f"num_outputs is {count}, but it has {len(call.outputs)} outputs; the file is damaged")
        most = -(-x.shape[axis] // count)
        lengths = [max(min(most, x.shape[axis] - most * i), 0) for i in range(count)]
    if sum(lengths) != x.shape[axis] or any(n < 0 for n in lengths):
        raise call.refuse(
            f"splits an axis of length {x.shape[axis]} into {lengths}, expected lengths that add up to it"
        )
    ends = np.cumsum(lengths).tolist()
    index = (slice(None),) * axis
    if is_static(x):
        return tuple(x[(*index, slice(end - n, end))] for n, end in zip(lengths, ends, strict=True))
    return tuple(lax.slice_in_dim(x, end - n, end, axis=axis) for n, end in zip(lengths, ends, strict=True))


@operator("Slice")
def cut(call, x, starts=None, ends=None, axes=None, steps=None):
    if starts is None:
        first, last, which, every = call.get("starts"), call.get("ends"), call.get("axes"), None
    else:
        first, last, which, every = (
            None if value is None else call.static(value, what).reshape(-1).tolist()
            for value, what in ((starts, "starts"), (ends, "ends"), (axes, "axes"), (steps, "steps"))
        )
    first, last = tuple(first or ()), tuple(last or ())
    which = range(len(first)) if which is None else which
    every = (1,) * len(first) if every is None else every
    for start, end, axis, step in zip(first, last, which, every, strict=True):
        x = _sliced(x, axis + np.ndim(x) if axis < 0 else axis, range(*slice(start, end, step).indices(x.shape[axis])))
    return x


def _sliced(x, axis, places: range):
    if places == range(x.shape[axis]):
        return x
    if is_static(x):
        return np.take(x, np.asarray(places, np.int64), axis)
    if places.step > 0:
        return lax.slice_in_dim(x, places.start, max(places.stop, places.start), places.step, axis)
    forward = places[::-1]
    # A range turned round may stop beyond the end.
    stop = forward[-1] + 1 if forward else forward.start
    part = lax.slice_in_dim(x, forward.start, stop, forward.step, axis)
    return lax.rev(part, (axis,))


#: What numpy calls the ways to pad.
_MODES = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}


@operator("Pad")
def pad(call, x, pads=None, value=None, axes=None):
    widths = call.get("pads") if pads is None else [int(n) for n in call.static(pads, "pads").reshape(-1)]
    which = range(x.ndim) if axes is None else call.static(axes, "axes").reshape(-1).tolist()
    sides = np.zeros((x.ndim, 2), np.int64)
    for i, axis in enumerate(which):
        sides[axis] = widths[i], widths[i + len(widths) // 2]
    xp, mode = module_of(x), call.get("mode", "constant")
    if is_static(x):
        call.check_room([n + before + after for n, (before, after) in zip(x.shape, sides, strict=True)])
    # A negative width takes away.
    for axis, (before, after) in enumerate(sides.tolist()):
        if before < 0 or after < 0:
            x = _sliced(x, axis, range(max(-before, 0), x.shape[axis] - max(-after, 0)))
    sides = np.maximum(sides, 0)
    if not sides.any():
        return x
    if mode != "constant":
        return xp.pad(x, sides.tolist(), mode=_MODES[mode])
    fill = call.get("value", 0.0) if value is None else call.static(value, "constant_value").reshape(())
    if xp is np:
        return np.pad(x, sides.tolist(), constant_values=np.asarray(fill, x.dtype))
    return lax.pad(x, jnp.asarray(fill, x.dtype), [(before, after, 0) for before, after in sides.tolist()])


@operator("DepthToSpace")
def depth_to_space(call, x):
    b, c, h, w = x.shape
    n = call.get("blocksize")
    xp = module_of(x)
    if call.get("mode", "DCR") == "DCR":
        blocks = xp.transpose(x.reshape(b, n, n, c // n**2, h, w), (0, 3, 4, 1, 5, 2))
    else:
        blocks = xp.transpose(x.reshape(b, c // n**2, n, n, h, w), (0, 1, 4, 2, 5, 3))
    return blocks.reshape(b, c // n**2, h * n, w * n)


@operator("SpaceToDepth")
def space_to_depth(call, x):
    b, c, h, w = x.shape
    n = call.get("blocksize")
    blocks = x.reshape(b, c, h // n, n, w // n, n)
    order = (0, 1, 3, 5, 2, 4) if call.get("mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4)
    return module_of(x).transpose(blocks, order).reshape(b, c * n**2, h // n, w // n)
