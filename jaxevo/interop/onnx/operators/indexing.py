"""Numbers picked, placed, sorted and counted out."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxevo.interop.onnx.dtypes import DTYPES
from jaxevo.interop.onnx.table import MOST_REPEATED, is_static, module_of, operator


@operator("ConstantOfShape")
def constant_of_shape(call, shape):
    sizes = tuple(int(n) for n in call.static(shape, "shape"))
    call.check_room(sizes, MOST_REPEATED)
    value = call.get("value")
    return np.broadcast_to(np.zeros((), np.float32) if value is None else value.reshape(()), sizes)


@operator("Range")
def count(call, start, limit, delta):
    first, last, step = (
        call.static(value, what).reshape(())[()]
        for value, what in ((start, "start"), (limit, "limit"), (delta, "delta"))
    )
    length = max(math.ceil((float(last) - float(first)) / float(step)), 0) if step else 0
    if np.issubdtype(np.asarray(step).dtype, np.integer) and step:
        length = max(-((int(first) - int(last)) // int(step)), 0)
    call.check_room((length,))
    return (first + np.arange(length).astype(np.asarray(step).dtype) * step).astype(np.asarray(first).dtype)


@operator("EyeLike")
def eye_like(call, x):
    rows, columns = np.shape(x)
    call.check_room((rows, columns))
    return np.eye(rows, columns, call.get("k", 0), DTYPES[call.get("dtype")] if call.get("dtype") else x.dtype)


@operator("Trilu")
def trilu(call, x, k=None):
    diagonal = 0 if k is None else int(call.static(k, "k").reshape(()))
    rows, columns = x.shape[-2:]
    upper = np.arange(columns)[None, :] - np.arange(rows)[:, None] >= diagonal
    lower = np.arange(columns)[None, :] - np.arange(rows)[:, None] <= diagonal
    xp = module_of(x)
    return xp.where(upper if call.get("upper", 1) else lower, x, xp.zeros_like(x))


def _inside(call, indices, length):
    """Returns indices; those that are known are checked and counted from the front."""
    if not is_static(indices):
        return indices
    if indices.size and not -length <= indices.min() <= indices.max() < length:
        raise call.refuse(f"reads index {indices.min()} to {indices.max()} of an axis of length {length}")
    return np.where(indices < 0, indices + length, indices)


@operator("Gather")
def gather(call, x, indices):
    axis = call.get("axis", 0)
    axis += np.ndim(x) if axis < 0 else 0
    places = _inside(call, indices, x.shape[axis])
    if is_static(x, places):
        call.check_room((*np.shape(x)[:axis], *np.shape(places), *np.shape(x)[axis + 1 :]))
        return np.take(x, places, axis)
    x = jnp.asarray(x)
    if not is_static(places):
        # An index outside gives NaN: nothing can be refused once a network runs.
        return jnp.take(x, places, axis, mode="fill")
    if not places.ndim:
        return lax.index_in_dim(x, int(places), axis, keepdims=False)
    if places.ndim == 1 and places.size and (np.diff(places) == 1).all():
        return lax.slice_in_dim(x, int(places[0]), int(places[-1]) + 1, axis=axis)
    index = (slice(None),) * axis
    return x.at[(*index, places.astype(np.int32))].get(mode="promise_in_bounds")


@operator("GatherElements")
def gather_elements(call, x, indices):
    axis = call.get("axis", 0)
    axis += np.ndim(x) if axis < 0 else 0
    places = _inside(call, indices, x.shape[axis])
    grid = list(np.indices(np.shape(places), sparse=True))
    grid[axis] = places
    return x[tuple(grid)] if is_static(x, places) else jnp.asarray(x)[tuple(grid)]


@operator("GatherND")
def gather_nd(call, x, indices):
    return _picked(call, x, indices, call.get("batch_dims", 0))


def _picked(call, x, indices, batch):
    depth = indices.shape[-1]
    leading = np.indices(indices.shape[:batch] + (1,) * (indices.ndim - 1 - batch), sparse=True)[:batch]
    if is_static(x, indices):
        call.check_room((*indices.shape[:-1], *x.shape[batch + depth :]))
    places = [_inside(call, indices[..., i], x.shape[batch + i]) for i in range(depth)]
    index = (*leading, *places)
    return x[index] if is_static(x, indices) else jnp.asarray(x)[index]


@operator("Scatter", "ScatterElements")
def scatter_elements(call, x, indices, updates):
    axis = call.get("axis", 0)
    axis += np.ndim(x) if axis < 0 else 0
    grid = list(np.indices(np.shape(indices), sparse=True))
    grid[axis] = _inside(call, indices, x.shape[axis])
    return _placed(call, x, tuple(grid), updates)


@operator("ScatterND")
def scatter_nd(call, x, indices, updates):
    index = tuple(_inside(call, indices[..., i], x.shape[i]) for i in range(indices.shape[-1]))
    return _placed(call, x, index, updates)


_WAYS = {"none": "set", "add": "add", "mul": "multiply", "min": "min", "max": "max"}
_UFUNCS = {"add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum}


def _placed(call, x, index, updates):
    way = call.get("reduction", "none")
    if not is_static(x, updates, *index):
        return getattr(jnp.asarray(x).at[index], _WAYS[way])(updates)
    placed = np.array(x)
    if way == "none":
        placed[index] = updates
    else:
        _UFUNCS[way].at(placed, index, updates)
    return placed


@operator("TensorScatter")
def tensor_scatter(call, past, update, starts=None):
    axis = call.get("axis", -2)
    axis += past.ndim if axis < 0 else 0
    length, batch = past.shape[axis], past.shape[0]
    starts = np.zeros(batch, np.int64) if starts is None else starts
    places = starts[:, None] + np.arange(update.shape[axis])
    places = places % length if call.get("mode", "linear") == "circular" else places
    rows = np.arange(batch)[:, None]
    moved = jnp.moveaxis(jnp.asarray(past), axis, 1).at[rows, places].set(jnp.moveaxis(jnp.asarray(update), axis, 1))
    return jnp.moveaxis(moved, 1, axis)


@operator("OneHot")
def one_hot(call, indices, depth, values):
    axis, length = call.get("axis", -1), int(call.static(depth, "depth").reshape(()))
    axis += np.ndim(indices) + 1 if axis < 0 else 0
    xp = module_of(indices, values)
    call.check_room((*np.shape(indices), length) if xp is np else (length,))
    places = xp.expand_dims(xp.where(indices < 0, indices + length, indices), axis)
    row = np.arange(length).reshape([length if i == axis else 1 for i in range(np.ndim(indices) + 1)])
    return xp.where(places == row, values[1], values[0])


@operator("TopK")
def top_k(call, x, k=None):
    count = call.get("k") if k is None else int(call.static(k, "k").reshape(()))
    axis = call.get("axis", -1)
    axis += x.ndim if axis < 0 else 0
    xp, length = module_of(x), x.shape[axis]
    if not 0 <= count <= length:
        raise call.refuse(f"k is {count}, expected 0 to {length}, the length of the axis")
    options = {"kind": "stable"} if xp is np else {"stable": True}
    if call.get("largest", 1):
        # Of equal numbers the one with the lower index comes first.
        order = length - 1 - xp.flip(xp.argsort(xp.flip(x, axis), axis, **options), axis)
    else:
        order = xp.argsort(x, axis, **options)
    order = order[(slice(None),) * axis + (slice(0, count),)]
    return xp.take_along_axis(x, order, axis), order


@operator("ReverseSequence")
def reverse_sequence(call, x, lengths):
    time, batch = call.get("time_axis", 0), call.get("batch_axis", 1)
    xp = module_of(x, lengths)
    steps = xp.arange(x.shape[time])[:, None]
    places = xp.where(steps < lengths, lengths - 1 - steps, steps)
    shape = [1] * x.ndim
    shape[time], shape[batch] = x.shape[time], x.shape[batch]
    places = (places if time < batch else places.T).reshape(shape)
    return xp.take_along_axis(x, xp.broadcast_to(places, x.shape), time)


@operator("NonZero")
def non_zero(call, x):
    return np.stack(np.nonzero(np.atleast_1d(call.static(x, "the tensor")))).astype(np.int64)


@operator("Compress")
def compress(call, x, condition):
    chosen = np.nonzero(call.static(condition, "condition"))[0]
    axis, xp = call.get("axis"), module_of(x)
    return xp.take(x.reshape(-1) if axis is None else x, chosen, 0 if axis is None else axis)


@operator("Unique")
def unique(call, x):
    axis = call.get("axis")
    values, first, inverse, counts = np.unique(
        call.static(x, "the tensor"), return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    inverse = inverse.reshape(-1)
    if not call.get("sorted", 1):
        order = np.argsort(first)
        values, first, counts = np.take(values, order, axis or 0), first[order], counts[order]
        inverse = np.argsort(order)[inverse]
    return values, first, inverse, counts


@operator("NegativeLogLikelihoodLoss")
def negative_log_likelihood(call, x, target, weight=None):
    return _likelihood(call, x, target, weight)


@operator("SoftmaxCrossEntropyLoss")
def cross_entropy(call, x, target, weight=None):
    logs = jax.nn.log_softmax(jnp.asarray(x), 1)
    return _likelihood(call, logs, target, weight), logs


def _likelihood(call, logs, target, weight):
    logs, target = jnp.asarray(logs), jnp.asarray(target)
    ignored = call.get("ignore_index")
    kept = jnp.ones(target.shape, bool) if ignored is None else target != ignored
    places = jnp.where(kept, target, 0)
    weights = jnp.ones(target.shape, logs.dtype) if weight is None else jnp.asarray(weight)[places]
    weights = jnp.where(kept, weights, 0)
    losses = -jnp.take_along_axis(logs, places[:, None], 1)[:, 0] * weights
    way = call.get("reduction", "mean")
    if way == "none":
        return losses
    return losses.sum() if way == "sum" else losses.sum() / weights.sum()
