"""Reading at places that values say."""

import numpy as np
from jax import lax

from jaxevo.interop.onnx.primitives.table import primitive
from jaxevo.interop.onnx.views import View


@primitive("gather")
def gather(call, x, places):
    numbers, sizes = call["dimension_numbers"], call["slice_sizes"]
    mapped, batch = numbers.start_index_map, numbers.operand_batching_dims
    rest = [axis for axis in range(len(x.shape)) if axis not in (*mapped, *batch)]
    if any(sizes[axis] != x.shape[axis] for axis in rest):
        raise call.refuse("takes parts of axes that it does not index")
    emission, last = call.emission, len(places.shape) - 1
    lengths, taken = emission.ints([x.shape[axis] for axis in mapped]), emission.ints([sizes[axis] for axis in mapped])
    # Rows of indices: the shared axes first, then the others, then the coordinates.
    shared = numbers.start_indices_batching_dims
    others = [axis for axis in range(last) if axis not in shared]
    index = emission.cast(places.write(emission, (*shared, *others, last)), np.dtype(np.int64))
    clipped = emission.emit("Max", index, emission.ints([0] * len(mapped)))
    clipped = emission.emit("Min", clipped, emission.emit("Sub", lengths, taken))
    filled = call["mode"] == lax.GatherScatterMode.FILL_OR_DROP
    inside = None
    if filled:
        inside = emission.cast(emission.emit("Equal", index, clipped), np.dtype(np.int32))
        inside = emission.cast(emission.emit("ReduceMin", inside, emission.ints([-1]), keepdims=0), np.dtype(bool))
    windows = [axis for axis in mapped if axis not in numbers.collapsed_slice_dims]
    rows = len(shared) + len(others)
    clipped = _widened(
        emission, clipped, rows, [(mapped.index(axis), int(sizes[axis])) for axis in windows], len(mapped)
    )
    name = x.write(emission, (*batch, *mapped, *rest))
    name = emission.emit("GatherND", name, clipped, batch_dims=len(batch))
    # What came out: rows of indices, windows, and what was not indexed. Where each of them belongs:
    offsets = dict(zip(sorted((*windows, *rest)), numbers.offset_dims, strict=True))
    free = [axis for axis in range(len(call.shapes[0])) if axis not in numbers.offset_dims]
    axes = [*(free[axis] for axis in (*shared, *others)), *(offsets[axis] for axis in (*windows, *rest))]
    found = call.result(name, axes)
    if inside is None:
        return found
    return _filled(call, found, View(inside, tuple(axes[:rows]), call.shapes[0], np.dtype(bool)))


def _widened(emission, index, rows, windows, count):
    """Spreads indices [..., coordinates] over the axes of windows that are longer than 1, each at its place."""
    for number, (place, size) in enumerate(windows):
        steps = np.zeros((size, count), np.int64)
        steps[:, place] = np.arange(size)
        spread = emission.emit("Unsqueeze", index, emission.ints([rows + number]))
        index = emission.emit("Add", spread, emission.constant(steps))
    return index


def _filled(call, found, inside):
    fill = call["fill_value"]
    if fill is None:
        floating = np.issubdtype(found.dtype, np.inexact)
        fill = np.nan if floating else np.iinfo(found.dtype).min if found.dtype.kind == "i" else 0
        fill = True if found.dtype == np.bool_ else np.iinfo(found.dtype).max if found.dtype.kind == "u" else fill
    order = found.held
    condition = inside.write(call.emission, order, expand=False)
    name = found.write(call.emission, order)
    value = call.emission.constant(np.asarray(fill, found.dtype))
    if found.dtype == np.bool_:
        outside = call.emission.emit("Not", condition)
        return call.result(call.emission.emit("Or", name, outside), order)
    return call.result(call.emission.emit("Where", condition, name, value), order)
