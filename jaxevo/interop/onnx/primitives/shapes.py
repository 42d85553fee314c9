"""Primitives that move, repeat, cut and join axes."""

import numpy as np

from jaxevo.interop.onnx.lengths import Batch
from jaxevo.interop.onnx.primitives.table import primitive
from jaxevo.interop.onnx.views import View

#: "From the end to before the start", for slices that run backwards.
_BEFORE_START = np.iinfo(np.int64).min


@primitive("reshape")
def reshape(call, x):
    shape = call.shapes[0]
    long, wanted = ([place for place, n in enumerate(lengths) if n != 1] for lengths in (x.shape, shape))
    if [x.shape[axis] for axis in long] == [shape[axis] for axis in wanted]:
        homes = dict(zip(long, wanted, strict=True))
        return x.moved([homes.get(axis) for axis in range(len(x.shape))], shape)
    free = [place for place, n in enumerate(shape) if isinstance(n, Batch)]
    lengths = [-1 if free == [place] and 0 not in shape else n for place, n in enumerate(shape)]
    return call.result(call.emission.emit("Reshape", x.write(call.emission), call.emission.ints(lengths)))


@primitive("expand_dims")
def expand_dims(call, x):
    return reshape(call, x)


@primitive("squeeze")
def squeeze(call, x):
    gone = call["dimensions"]
    kept = [axis for axis in range(len(x.shape)) if axis not in gone]
    return x.moved([kept.index(axis) if axis in kept else None for axis in range(len(x.shape))], call.shapes[0])


@primitive("transpose")
def transpose(call, x):
    order = call["permutation"]
    return x.moved([order.index(axis) for axis in range(len(order))], call.shapes[0])


@primitive("broadcast_in_dim")
def broadcast(call, x):
    places, shape = call["broadcast_dimensions"], call.shapes[0]
    return x.moved([place if x.shape[axis] == shape[place] else None for axis, place in enumerate(places)], shape)


@primitive("iota")
def iota(call):
    axis, shape, dtype = call["dimension"], call.shapes[0], call.dtypes[0]
    length = shape[axis]
    if not isinstance(length, Batch):
        return View(np.arange(length, dtype=dtype), (axis,), shape, dtype)
    return call.result(call.emission.positions(length, dtype), (axis,))


@primitive("concatenate")
def concatenate(call, *parts):
    order = max(parts, key=lambda part: len(part.held)).order()
    names = [part.write(call.emission, order) for part in parts]
    return call.result(call.emission.emit("Concat", *names, axis=order.index(call["dimension"])), order)


@primitive("stack")
def stack(call, *parts):
    # Each part gets the new axis, of length 1.
    axis, emission = call["axis"], call.emission
    places = [place + (place >= axis) for place in range(len(parts[0].shape))]
    shape = [1 if place == axis else n for place, n in enumerate(call.shapes[0])]
    wide = [part.moved(places, shape) for part in parts]
    order = max(wide, key=lambda part: len(part.held)).order()
    names = [part.write(emission, order) for part in wide]
    return call.result(emission.emit("Concat", *names, axis=order.index(axis)), order)


@primitive("unstack")
def unstack(call, x):
    axis, order, count = call["axis"], x.order(), len(call.shapes)
    name, place = x.write(call.emission, order), order.index(axis)
    names = call.emission.emit_several("Split", [name, call.emission.ints([1] * count)], count, axis=place)
    axes = [None if a == axis else a - (a > axis) for a in order]
    return tuple(call.result(part, axes, index) for index, part in enumerate(names))


@primitive("tile")
def tile(call, x):
    order, reps = x.order(), call["reps"]
    times = call.emission.ints([reps[axis] for axis in order])
    return call.result(call.emission.emit("Tile", x.write(call.emission, order), times), order)


@primitive("split")
def split(call, x):
    order, sizes = x.order(), call["sizes"]
    name, axis = x.write(call.emission, order), order.index(call["axis"])
    names = call.emission.emit_several("Split", [name, call.emission.ints(sizes)], len(sizes), axis=axis)
    return tuple(call.result(part, order, index) for index, part in enumerate(names))


@primitive("slice")
def cut(call, x):
    strides = call["strides"] or (1,) * len(x.shape)
    return _cut(call, x, call["start_indices"], call["limit_indices"], strides, call.shapes[0])


def _cut(call, x, starts, limits, strides, shape):
    changed = [axis for axis in x.held if (starts[axis], limits[axis], strides[axis]) != (0, x.shape[axis], 1)]
    if not changed:
        return View(x.tensor, x.axes, tuple(shape), x.dtype)
    ints, places = call.emission.ints, [x.held.index(axis) for axis in changed]
    bounds = [ints([found[axis] for axis in changed]) for found in (starts, limits)]
    name = x.write(call.emission, x.held)
    steps = ints([strides[axis] for axis in changed])
    found = call.emission.emit("Slice", name, *bounds, ints(places), steps)
    return View(found, x.held, tuple(shape), x.dtype)


@primitive("rev")
def reverse(call, x):
    axes = [axis for axis in call["dimensions"] if axis in x.held]
    if not axes:
        return x
    ints, count = call.emission.ints, len(axes)
    places = [x.held.index(axis) for axis in axes]
    bounds = (ints([-1] * count), ints([_BEFORE_START] * count), ints(places), ints([-1] * count))
    return call.result(call.emission.emit("Slice", x.write(call.emission, x.held), *bounds), x.held)


@primitive("pad")
def pad(call, x, value):
    config, order = call["padding_config"], x.order()
    if any(inner for _, _, inner in config):
        raise call.refuse("pads between elements, which ONNX only does inside a transposed convolution")
    shape = [
        n if isinstance(n, Batch) else n + max(low, 0) + max(high, 0)
        for n, (low, high, _) in zip(x.shape, config, strict=True)
    ]
    if any(low > 0 or high > 0 for low, high, _ in config):
        around = [max(config[axis][side], 0) for side in (0, 1) for axis in order]
        pads = call.emission.ints(around)
        name = call.emission.emit("Pad", x.write(call.emission, order), pads, value.write(call.emission))
        x = View(name, order, tuple(shape), x.dtype)
    starts = [max(-low, 0) for low, _, _ in config]
    limits = [n if high >= 0 else n + high for n, (_, high, _) in zip(shape, config, strict=True)]
    return _cut(call, x, starts, limits, [1] * len(shape), call.shapes[0])


@primitive("dynamic_slice")
def slice_at(call, x, *starts):
    sizes = call["slice_sizes"]
    moving = [axis for axis in range(len(sizes)) if sizes[axis] != x.shape[axis]]
    if any(isinstance(x.shape[axis], Batch) for axis in moving):
        raise call.refuse("takes a part of the batch")
    order = x.order()
    name = x.write(call.emission, order)
    if moving:
        begin, end = _bounds(call, x, starts, sizes, moving)
        places = call.emission.ints([order.index(axis) for axis in moving])
        name = call.emission.emit("Slice", name, begin, end, places)
    return call.result(name, order)


@primitive("dynamic_update_slice")
def update_at(call, x, update, *starts):
    moving = [axis for axis in range(len(x.shape)) if update.shape[axis] != x.shape[axis]]
    if not moving:
        return update
    if len(moving) > 1 or isinstance(x.shape[moving[0]], Batch):
        raise call.refuse(f"replaces a part along axes {moving}, expected one axis that is not the batch")
    axis, order, emission = moving[0], x.order(), call.emission
    name, place = x.write(emission, order), emission.ints([order.index(axis)])
    begin, end = _bounds(call, x, starts, update.shape, moving)
    before = emission.emit("Slice", name, emission.ints([0]), begin, place)
    after = emission.emit("Slice", name, end, emission.ints([x.shape[axis]]), place)
    parts = (before, update.write(emission, order), after)
    return call.result(emission.emit("Concat", *parts, axis=order.index(axis)), order)


def _bounds(call, x, starts, sizes, moving):
    """Returns names of int64 tensors: where a slice begins, inside of the value, and where it ends."""
    emission, parts = call.emission, []
    for axis in moving:
        start = emission.cast(starts[axis].write(emission), np.dtype(np.int64))
        most = np.int64(x.shape[axis] - sizes[axis])
        inside = emission.emit(
            "Min", emission.emit("Max", start, emission.constant(np.int64(0))), emission.constant(most)
        )
        parts.append(emission.emit("Reshape", inside, emission.ints([1])))
    begin = emission.emit("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]
    return begin, emission.emit("Add", begin, emission.ints([sizes[axis] for axis in moving]))
