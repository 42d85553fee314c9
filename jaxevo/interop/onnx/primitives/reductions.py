"""Reductions over axes and over windows, cumulative sums, and order."""

import math

import jax.numpy as jnp
import numpy as np

from jaxevo.interop.onnx.lengths import Batch
from jaxevo.interop.onnx.primitives.table import primitive
from jaxevo.interop.onnx.views import View

_REDUCTIONS = {
    "reduce_and": "ReduceMin",
    "reduce_max": "ReduceMax",
    "reduce_min": "ReduceMin",
    "reduce_or": "ReduceMax",
    "reduce_prod": "ReduceProd",
    "reduce_sum": "ReduceSum",
}
_WINDOWS = {"reduce_window_max": "MaxPool", "reduce_window_min": "MaxPool", "reduce_window_sum": "AveragePool"}


@primitive(*_REDUCTIONS)
def reduce(call, x):
    axes, emission = call["axes"], call.emission
    if not axes:
        return x
    order = x.held if set(axes) <= set(x.held) else x.order()
    name = x.write(emission, order)
    if x.dtype == np.bool_:
        name = emission.cast(name, np.dtype(np.int32))
    places = emission.ints([order.index(axis) for axis in axes])
    name = emission.emit(_REDUCTIONS[call.primitive], name, places, keepdims=0)
    if x.dtype == np.bool_:
        name = emission.cast(name, x.dtype)
    return call.result(name, _left(order, axes))


@primitive("argmax", "argmin")
def place_of_extreme(call, x):
    (axis,), emission, order = call["axes"], call.emission, x.order()
    operator = "ArgMax" if call.primitive == "argmax" else "ArgMin"
    name = emission.emit(operator, x.write(emission, order), axis=order.index(axis), keepdims=0)
    return call.result(emission.cast(name, call.dtypes[0]), _left(order, (axis,)))


def _left(order, gone):
    """Returns the axes that remain, numbered without those that are gone."""
    return [axis - sum(other < axis for other in gone) for axis in order if axis not in gone]


@primitive("cumsum")
def running_sum(call, x):
    order = x.order()
    place = call.emission.constant(np.int64(order.index(call["axis"])))
    name = call.emission.emit("CumSum", x.write(call.emission, order), place, reverse=int(call["reverse"]))
    return call.result(name, order)


@primitive("top_k")
def largest(call, x):
    order, axis = x.order(), call.get("axis", len(x.shape) - 1)
    values, places = _ordered(call, x.write(call.emission, order), order.index(axis), call["k"], 1)
    return call.result(values, order), call.result(call.emission.cast(places, call.dtypes[1]), order, 1)


@primitive("sort")
def sort(call, *values):
    axis = call["dimension"]
    if call["num_keys"] != 1 or isinstance(values[0].shape[axis], Batch):
        raise call.refuse("sorts by several keys or along the batch, expected one key along another axis")
    order, emission = values[0].order(), call.emission
    place = order.index(axis)
    # Where elements are equal the earlier comes first, as in a stable sort.
    found, places = _ordered(call, values[0].write(emission, order), place, values[0].shape[axis], 0)
    others = [emission.emit("GatherElements", v.write(emission, order), places, axis=place) for v in values[1:]]
    return tuple(call.result(name, order, index) for index, name in enumerate((found, *others)))


def _ordered(call, name, axis, count, largest_first):
    inputs = (name, call.emission.ints([count]))
    return call.emission.emit_several("TopK", inputs, 2, axis=axis, largest=largest_first, sorted=1)


@primitive(*_WINDOWS)
def pool(call, x):
    size, steps, pads = call["window_dimensions"], call["window_strides"], call["padding"]
    spread, emission = call["window_dilation"], call.emission
    if any(gap != 1 for gap in call["base_dilation"]):
        raise call.refuse("spreads its input, which ONNX's pools do not")
    windowed = [axis for axis in range(len(size)) if (size[axis], steps[axis]) != (1, 1) or tuple(pads[axis]) != (0, 0)]
    if not windowed:
        return x
    bytes_of_max = call.primitive == "reduce_window_max" and x.dtype.name in ("int8", "uint8")
    if not jnp.issubdtype(x.dtype, jnp.floating) and not bytes_of_max:
        raise call.refuse(f"has windows over {x.dtype}, which ONNX's pools do not; convert to float32 before")
    if len(windowed) > 3 or any(isinstance(x.shape[axis], Batch) for axis in windowed):
        raise call.refuse(f"has windows over axes {windowed}, expected at most three that are not the batch")
    summed = call.primitive == "reduce_window_sum"
    if summed and any(spread[axis] != 1 for axis in windowed):
        raise call.refuse("sums windows with gaps, which ONNX's pools do not")
    rest = [axis for axis in x.order() if axis not in windowed]
    name = x.write(emission, (*rest, *windowed))
    lengths = [x.shape[axis] for axis in windowed]
    if len(rest) != 2:
        # Pools want one axis of examples and one of channels.
        name = emission.emit("Reshape", name, emission.ints([-1, 1, *lengths]))
    wide = [tuple(pads[axis]) for axis in windowed]
    low = call.primitive == "reduce_window_min"
    if low:
        name = emission.emit("Neg", name)
    if any(max(pad) >= size[axis] for pad, axis in zip(wide, windowed, strict=True)):
        value = np.asarray(0 if summed else _lowest(x.dtype), x.dtype)
        around = [0, 0, *(before for before, _ in wide), 0, 0, *(after for _, after in wide)]
        name = emission.emit("Pad", name, emission.ints(around), emission.constant(value))
        wide = [(0, 0)] * len(wide)
    attributes = {
        "kernel_shape": [size[axis] for axis in windowed],
        "strides": [steps[axis] for axis in windowed],
        "pads": [*(before for before, _ in wide), *(after for _, after in wide)],
    }
    if summed:
        name = emission.emit("AveragePool", name, count_include_pad=1, **attributes)
        count = np.asarray(math.prod(attributes["kernel_shape"]), x.dtype)
        name = emission.emit("Mul", name, emission.constant(count))
    else:
        name = emission.emit("MaxPool", name, dilations=[spread[axis] for axis in windowed], **attributes)
    if low:
        name = emission.emit("Neg", name)
    if len(rest) != 2:
        shape = [call.shapes[0][axis] for axis in (*rest, *windowed)]
        lengths = [-1 if isinstance(n, Batch) else n for n in shape]
        name = emission.emit("Reshape", name, emission.ints(lengths if lengths.count(-1) == 1 else shape))
    return View(name, (*rest, *windowed), call.shapes[0], x.dtype)


def _lowest(dtype):
    return -np.inf if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).min
