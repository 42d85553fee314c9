"""Resizing and sampling of ONNX.

Linear and cubic resizing is separable: one matrix per axis, known beforehand, and a product with each. Nearest resizing
is a gather per axis. Where `grid` says which positions to sample, values are gathered and weighted.
"""

import itertools
import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from jaxevo.interop.onnx.table import Call, is_static, operator

_FILTERS = {"linear": 1, "bilinear": 1, "cubic": 2, "bicubic": 2}  # radius of each in elements


@operator("Resize")
def resize(call, x, *inputs):
    if call.opset < 11:
        return upsample(call, x, *inputs)
    roi, scales, sizes = (
        _given(call, value, what)
        for value, what in zip((*inputs, None, None, None), ("roi", "scales", "sizes"), strict=False)
    )
    axes = tuple(axis % x.ndim for axis in call.get("axes") or range(x.ndim))
    scales, sizes = _extents(call, [x.shape[axis] for axis in axes], scales, sizes)
    mode = call.get("coordinate_transformation_mode", "half_pixel")
    roi = roi if mode == "tf_crop_and_resize" else None
    roi = np.repeat([0.0, 1.0], len(axes)) if roi is None else roi.astype(np.float64)
    outside, y = np.zeros((), bool), x
    for axis, scale, size, *ends in zip(axes, scales, sizes, roi[: len(axes)], roi[len(axes) :], strict=True):
        length = x.shape[axis]
        if scale == 1 and size == length and ends == [0, 1]:
            continue
        call.check_room((size, 1 if call.get("mode", "nearest") == "nearest" else length))
        places = _places(call, mode, length, scale, size, ends)
        if mode == "tf_crop_and_resize":
            beyond = (places < 0) | (places > length - 1)
            outside = outside | beyond.reshape((-1,) + (1,) * (x.ndim - 1 - axis))
        y = _resized(call, y, axis, places, scale)
    y = _as(y, x.dtype)
    return jnp.where(outside, jnp.asarray(call.get("extrapolation_value", 0.0), x.dtype), y) if outside.any() else y


@operator("Upsample")
def upsample(call, x, scales=None):
    # Resize before opset 11 has the same meaning: coordinates are divided by the scale and rounded towards the start,
    # or to the end where the axis shrinks, as onnxruntime does it.
    scales = call.attributes["scales"] if scales is None else call.static(scales, "scales")
    y, mode = x, call.get("mode", "nearest")
    for axis, scale in enumerate(np.asarray(scales, np.float32)):
        size = math.floor(np.float32(x.shape[axis]) * scale)
        if scale == 1:
            continue
        call.check_room((size, 1 if mode == "nearest" else x.shape[axis]))
        rounding = {"mode": mode, "nearest_mode": "floor" if scale > 1 else "ceil"}
        y = _resized(call._replace(attributes=rounding), y, axis, _divided(size, scale), float(scale))
    return _as(y, x.dtype)


def _given(call: Call, value, what: str) -> np.ndarray | None:
    """Returns a static input, None where it is left out or empty."""
    value = None if value is None else call.static(value, what)
    return None if value is None or value.size == 0 else value


def _extents(
    call: Call, lengths: Sequence[int], scales: np.ndarray | None, sizes: np.ndarray | None
) -> tuple[list[float], list[int]]:
    """Returns scales and sizes of the output's axes from either."""
    given = scales if sizes is None else sizes
    if given is None or (scales is not None and sizes is not None) or len(given) != len(lengths):
        raise call.refuse(
            f"scales is {scales} and sizes is {sizes}, expected one of them, with an entry for each of the axes that "
            f"are resized, of lengths {list(lengths)}"
        )
    if sizes is None:
        # In float32, as other runtimes do it: 10 elements scaled by 0.7 are 7, and 6 in float64.
        counts = [
            math.floor(np.float32(length) * np.float32(scale)) for length, scale in zip(lengths, given, strict=True)
        ]
        return [float(scale) for scale in given], counts
    ratios = [int(size) / length for size, length in zip(sizes, lengths, strict=True)]
    policy = call.get("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return ratios, [int(size) for size in sizes]
    ratio = {"not_larger": min, "not_smaller": max}[policy](ratios)
    return [ratio] * len(ratios), [math.floor(ratio * length + 0.5) for length in lengths]


def _places(call: Call, mode: str, length: int, scale: float, size: int, roi: Sequence[float]) -> np.ndarray:
    """Returns where in the input [0, length - 1] each of `size` elements of the output lies."""
    x, whole = np.arange(size, dtype=np.float64), scale * length
    if mode == "asymmetric":
        return _divided(size, scale)
    if mode == "align_corners":
        return x * (length - 1) / (whole - 1) if whole != 1 else 0 * x
    if mode == "half_pixel" or (mode == "pytorch_half_pixel" and size > 1):
        return (x + 0.5) / scale - 0.5
    if mode == "pytorch_half_pixel":
        return 0 * x
    if mode == "half_pixel_symmetric":
        return length / 2 * (1 - size / whole) + (x + 0.5) / scale - 0.5
    if mode == "tf_half_pixel_for_nn":
        return (x + 0.5) / scale
    if mode == "tf_crop_and_resize":
        start, end = roi[0] * (length - 1), roi[1] * (length - 1)
        return start + x * (end - start) / (whole - 1) if whole != 1 else 0 * x + (start + end) / 2
    raise call.refuse(f"coordinate_transformation_mode {mode!r} is unknown")


def _divided(size: int, scale: float) -> np.ndarray:
    """Divides in float32, as other runtimes do it: element 8 of a scale of 1.6 lies at 5, and before it in float64."""
    return (np.arange(size, dtype=np.float32) / np.float32(scale)).astype(np.float64)


def _resized(call: Call, x, axis: int, places: np.ndarray, scale: float):
    """Resizes one axis."""
    mode, length = call.get("mode", "nearest"), x.shape[axis]
    if mode == "nearest":
        rounded = {
            "round_prefer_floor": lambda p: np.ceil(p - 0.5),
            "round_prefer_ceil": lambda p: np.floor(p + 0.5),
            "floor": np.floor,
            "ceil": np.ceil,
        }[call.get("nearest_mode", "round_prefer_floor")](places)
        return jnp.take(x, np.clip(rounded, 0, length - 1).astype(np.int32), axis)
    if mode not in _FILTERS:
        raise call.refuse(f"mode {mode!r} is unknown, expected nearest, linear or cubic")
    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)
    matrix = _matrix(call, mode, places, length, min(scale, 1.0) if call.get("antialias", 0) else 1.0)
    return jnp.moveaxis(jnp.tensordot(x, matrix.astype(x.dtype), ((axis,), (1,))), -1, axis)


def _matrix(call: Call, mode: str, places: np.ndarray, length: int, stretch: float) -> np.ndarray:
    """Returns the matrix [size, length] that interpolates; `stretch` below 1 widens the filter against aliasing."""
    first = math.floor(-_FILTERS[mode] / stretch) + 1
    taps = np.floor(places)[:, None].astype(np.int64) + np.arange(first, 2 - first)
    distances = np.abs(taps - places[:, None]) * stretch
    weights = np.maximum(1 - distances, 0)
    if mode == "cubic":
        weights = cubic(distances, call.get("cubic_coeff_a", -0.75))
    if call.get("exclude_outside", 0):
        weights = np.where((taps < 0) | (taps >= length), 0, weights)
    weights = weights / weights.sum(1, keepdims=True)
    matrix = np.zeros((len(places), length))
    np.add.at(matrix, (np.arange(len(places))[:, None], np.clip(taps, 0, length - 1)), weights)
    return matrix


def cubic(distances, a: float):
    """Returns the weights of cubic convolution at distances >= 0 (Keys 1981, equation 4)."""
    d = distances
    near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return (d <= 1) * near + ((d > 1) & (d < 2)) * far


def _as(y, dtype):
    """Converts a result; integers are rounded and held in their range."""
    if y.dtype == dtype or not jnp.issubdtype(dtype, jnp.integer):
        return y.astype(dtype)
    limits = jnp.iinfo(dtype)
    return jnp.clip(jnp.round(y), float(limits.min), float(limits.max)).astype(dtype)


@operator("GridSample")
def grid_sample(call, x, grid):
    mode, padding = call.get("mode", "linear"), call.get("padding_mode", "zeros")
    if mode not in ("nearest", *_FILTERS) or padding not in ("zeros", "border", "reflection"):
        raise call.refuse(f"mode {mode!r} with padding_mode {padding!r} is unknown")
    corners, points = bool(call.get("align_corners", 0)), []
    # The last axis of the grid counts from the innermost axis of the input.
    for axis, length in enumerate(x.shape[2:]):
        place = jnp.asarray(grid[..., x.ndim - 3 - axis])
        place = place.astype(jnp.promote_types(place.dtype, jnp.float32))
        place = (place + 1) / 2 * (length - 1) if corners else ((place + 1) * length - 1) / 2
        place = jnp.round(place) if mode == "nearest" else place
        # Cubic interpolation moves each element that it takes, not the position, as torch and onnxruntime do.
        points.append(place if _FILTERS.get(mode) == 2 else _within(place, length, padding, corners))
    return _as(interpolate(x, points, mode, padding, corners), x.dtype)


def interpolate(x, points: Sequence, mode: str = "linear", padding: str = "zeros", corners: bool = False):
    """Samples x at positions, by linear or cubic interpolation or at the position itself.

    Args:
      x: array [*B, C, *S] with n spatial axes.
      points: n arrays [*B, *P], coordinates in elements.
      mode: "nearest" (of whole coordinates), "linear" or "cubic".
      padding: what lies outside: "zeros", "border" or "reflection".
      corners: whether reflection is about the centres of the outermost elements, not about their outer edges.

    Returns:
      Array [*B, C, *P] of floating point, or of x's dtype for "nearest".
    """
    n, shape = len(points), points[0].shape
    batch, spatial = x.ndim - n - 1, x.shape[x.ndim - n :]
    flat = jnp.asarray(x).reshape(*x.shape[: batch + 1], -1)
    radius = _FILTERS.get(mode)
    axes = []  # for each axis, (index, weight) of every element that takes part
    for place, length in zip(points, spatial, strict=True):
        base = jnp.floor(place)
        taps = [base + tap for tap in (range(1 - radius, radius + 1) if radius else (0,))]
        distances = [jnp.abs(tap - place) for tap in taps]
        weights = [1 - d if radius == 1 else cubic(d, -0.75) if radius else jnp.ones_like(d) for d in distances]
        if padding == "zeros":
            weights = [jnp.where((t >= 0) & (t < length), w, 0) for t, w in zip(taps, weights, strict=True)]
        taps = [jnp.clip(_within(tap, length, padding, corners), 0, length - 1).astype(jnp.int32) for tap in taps]
        axes.append(list(zip(taps, weights, strict=True)))
    total = jnp.zeros((), x.dtype if radius is None else jnp.promote_types(x.dtype, jnp.float32))
    for combination in itertools.product(*axes):
        index, weight = jnp.zeros((), jnp.int32), jnp.ones((), points[0].dtype)
        for (tap, share), length in zip(combination, spatial, strict=True):
            index, weight = index * length + tap, weight * share
        index = index.reshape(*shape[:batch], 1, -1)
        values = jnp.take_along_axis(flat, index, -1).reshape(*x.shape[: batch + 1], *shape[batch:])
        total = total + (values * jnp.expand_dims(weight, batch)).astype(total.dtype)
    return total


def _within(place, length: int, padding: str, corners: bool):
    """Moves coordinates into the input where padding repeats its border or reflects it."""
    if padding == "border":
        return jnp.clip(place, 0, length - 1)
    if padding == "zeros":
        return place
    start, extent = (0.0, length - 1) if corners else (-0.5, length)
    if extent == 0:
        return jnp.zeros_like(place)
    way = jnp.mod(jnp.abs(place - start), 2 * extent)
    return jnp.where(way > extent, 2 * extent - way, way) + start


@operator("AffineGrid")
def affine_grid(call, theta, size):
    spatial = tuple(int(length) for length in call.static(size, "size")[2:])
    call.check_room((*spatial, len(spatial) + 1))
    axes = [np.linspace(-1, 1, n) if call.get("align_corners", 0) else (2 * np.arange(n) + 1) / n - 1 for n in spatial]
    # Coordinates are listed from the innermost axis to the outermost, and 1 after them.
    places = np.stack([*np.meshgrid(*axes, indexing="ij")[::-1], np.ones(spatial)], -1)
    return jnp.einsum("...k,njk->n...j", places.astype(theta.dtype), theta)


@operator("CenterCropPad")
def center_crop_pad(call, x, shape):
    axes = call.get("axes") or range(x.ndim)
    crops, pads = [slice(None)] * x.ndim, [(0, 0)] * x.ndim
    for axis, size in zip(axes, call.static(shape, "shape"), strict=True):
        difference = int(size) - x.shape[axis]
        half = abs(difference) // 2
        if difference < 0:
            crops[axis] = slice(half, half + int(size))
        else:
            pads[axis] = (half, difference - half)
    if is_static(x):
        call.check_room([n + before + after for n, (before, after) in zip(x.shape, pads, strict=True)])
    return jnp.pad(x[tuple(crops)], pads)
