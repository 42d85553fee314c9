"""Pooling over regions of interest (RoI) of ONNX.

NonMaxSuppression is not here: how many boxes it keeps depends on their scores, and shapes are fixed when a network is
compiled.
"""

import jax.numpy as jnp
import numpy as np

from jaxevo.interop.onnx.table import is_static, operator


@operator("RoiAlign")
def roi_align(call, x, rois, batch_indices):
    # Letters: R regions, S samples per bin along one axis.
    bins = call.get("output_height", 1), call.get("output_width", 1)
    # Before opset 16 regions were not shifted by half an element.
    mode = call.get("coordinate_transformation_mode", "half_pixel" if call.opset >= 16 else "output_half_pixel")
    shift = 0.5 if mode == "half_pixel" else 0.0
    ratio = call.get("sampling_ratio", 0)
    if ratio <= 0 and not is_static(rois):
        raise call.refuse(
            "sampling_ratio is 0, so the number of samples depends on the regions, expected a positive one, since "
            "shapes are fixed when a network is compiled; export the model with sampling_ratio=2"
        )
    numbers = np if ratio <= 0 else jnp
    edges = numbers.asarray(rois) * call.get("spatial_scale", 1.0) - shift
    places, kept = [], []
    for start, end, n, length in (
        (edges[:, 1], edges[:, 3], bins[0], x.shape[2]),
        (edges[:, 0], edges[:, 2], bins[1], x.shape[3]),
    ):
        extent = end - start if shift else numbers.maximum(end - start, 1.0)
        count = np.full(len(rois), ratio) if ratio > 0 else np.ceil(extent / n).astype(int)
        samples = np.arange(max(1, count.max(initial=1)))
        steps = np.arange(n)[:, None] + (samples + 0.5) / np.maximum(count, 1)[:, None, None]
        place = start[:, None, None] + steps * (extent / n)[:, None, None]  # [R, bins, S]
        inside = (place >= -1) & (place <= length)
        places.append(jnp.clip(place, 0, length - 1).astype(x.dtype))
        kept.append((inside, samples < count[:, None, None]))
    corners = _corners(x, jnp.asarray(batch_indices), places, [inside for inside, _ in kept])
    counted = kept[0][1][:, :, None, :, None] & kept[1][1][:, None, :, None, :]
    counted = np.broadcast_to(counted, corners[0].shape[:-1])[..., None]
    if call.get("mode", "avg") == "avg":
        y = jnp.where(counted, sum(corners), 0).sum((3, 4)) / np.maximum(counted.sum((3, 4)), 1).astype(x.dtype)
    else:
        # The maximum is over the weighted corners themselves, not over the interpolated samples.
        y = jnp.where(counted, jnp.stack(corners).max(0), -jnp.inf).max((3, 4))
    return jnp.moveaxis(y, -1, 1)


def _corners(x, batch, places, inside) -> list:
    """Returns the four weighted neighbours of every sample, each [R, bins, bins, S, S, C]."""
    height, width = x.shape[2:]
    rows = jnp.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
    valid = inside[0][:, :, None, :, None] & inside[1][:, None, :, None, :]
    row_place, column_place = places[0][:, :, None, :, None], places[1][:, None, :, None, :]
    top, left = jnp.floor(row_place), jnp.floor(column_place)
    found = []
    for dy in (0, 1):
        for dx in (0, 1):
            weight = jnp.abs(1 - dy - (row_place - top)) * jnp.abs(1 - dx - (column_place - left))
            row = jnp.minimum(top + dy, height - 1).astype(jnp.int32)
            column = jnp.minimum(left + dx, width - 1).astype(jnp.int32)
            index = (batch.astype(jnp.int32)[:, None, None, None, None] * height + row) * width + column
            found.append(rows[index] * jnp.where(valid, weight, 0)[..., None])
    return found


@operator("MaxRoiPool")
def max_roi_pool(call, x, rois):
    x, rois = jnp.asarray(x), jnp.asarray(rois)
    edges = jnp.floor(rois[:, 1:] * call.get("spatial_scale", 1.0) + 0.5)
    y = x[rois[:, 0].astype(jnp.int32)]  # [R, C, H, W]
    for axis, start, end, bins in zip(
        (2, 3), (edges[:, 1], edges[:, 0]), (edges[:, 3], edges[:, 2]), call.attributes["pooled_shape"], strict=True
    ):
        share = jnp.maximum(end - start + 1, 1) / bins
        first = jnp.floor(jnp.arange(bins) * share[:, None]) + start[:, None]
        last = jnp.ceil((jnp.arange(bins) + 1) * share[:, None]) + start[:, None]
        places = np.arange(y.shape[axis])
        mask = (places >= first[..., None]) & (places < last[..., None])  # [R, bins, H or W]
        # The pooled axis becomes the third, so that the other spatial axis is the last one and is taken next.
        y = jnp.where(mask[:, None, :, None], jnp.moveaxis(y, axis, -1)[:, :, None], -jnp.inf).max(-1)
    # A bin without elements is zero.
    return jnp.where(jnp.isneginf(y), 0, y).swapaxes(2, 3).astype(x.dtype)
