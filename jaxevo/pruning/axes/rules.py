"""What each primitive says about the labels of its axes: which are the same, what they are made of, what is pinned.

A rule takes the labels of an equation's operands and results, a list for each. What is elementwise keeps labels; a
transposition moves them; a contraction (the channels that a convolution or product sums over) unites those of its two
operands and lets go of them. What depends on positions or on how many there are (a maximum, a mean, a sort, an index)
pins them, and what is not known here pins all.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxevo.pruning.axes.inlining import CLIPS
from jaxevo.pruning.axes.labels import Labels

Axes = Sequence[int]
Rule = Callable[[Labels, Mapping[str, Any], Sequence[Axes], Sequence[Axes]], None]

#: Primitives that compute each number of their results from the numbers at that place in their operands.
_NAMES = (
    "abs acos acosh add add_any and asin asinh atan atan2 atanh cbrt ceil clamp convert_element_type copy copy_p cos "
    "cosh div eq erf erf_inv erfc exp exp2 expm1 floor ge gt integer_pow is_finite le log log1p logistic lt max min "
    "mul ne neg nextafter not or pow reduce_precision rem round rsqrt select_n sign sin sinh sqrt square stop_gradient "
    "sub tan tanh xor"
)
_REDUCTIONS = "reduce_sum reduce_max reduce_min reduce_prod reduce_and reduce_or argmax argmin"
_WINDOWS = "reduce_window_sum reduce_window_max reduce_window_min"
_ALONG = {
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"), "axis"),
    "sort": "dimension",
    "rev": "dimensions",
    "iota": "dimension",
}


def label(labels: Labels, name: str, params: Mapping[str, Any], ins: Sequence[Axes], outs: Sequence[Axes]) -> None:
    """Says what one equation means for labels.

    Args:
      labels: the labels, which grow.
      name: the primitive.
      params: what it is bound with.
      ins, outs: labels of the axes of each operand and each result.
    """
    _RULES.get(name, _unknown)(labels, params, ins, outs)


def _unknown(labels, params, ins, outs):
    del params
    for axes in (*ins, *outs):
        labels.pin(*axes)


def _elementwise(labels, params, ins, outs):
    del params
    for axes in (*ins, *outs[1:]):
        # Scalars are stretched, and so are axes of length one.
        for axis, out in zip(axes, outs[0], strict=False):
            if labels.size(axis) == labels.size(out) or labels.size(axis) != 1:
                labels.unite(axis, out)


def _transpose(labels, params, ins, outs):
    _unite_all(labels, [ins[0][axis] for axis in params["permutation"]], outs[0])


def _squeeze(labels, params, ins, outs):
    gone = params["dimensions"]
    _unite_all(labels, [axis for place, axis in enumerate(ins[0]) if place not in gone], outs[0])


def _broadcast(labels, params, ins, outs):
    for axis, place in zip(ins[0], params["broadcast_dimensions"], strict=True):
        # An axis of length one that is stretched has a new label: as many copies as are asked for.
        if labels.size(axis) == labels.size(outs[0][place]):
            labels.unite(axis, outs[0][place])


def _reshape(labels, params, ins, outs):
    if params.get("dimensions") is not None or not _length(labels, ins[0]):
        _unknown(labels, params, ins, outs)
        return
    before, after = ([axis for axis in axes if labels.size(axis) != 1] for axes in (ins[0], outs[0]))
    while before and after:
        mine, theirs = [before.pop(0)], [after.pop(0)]
        while (a := _length(labels, mine)) != (b := _length(labels, theirs)):
            (mine if a < b else theirs).append((before if a < b else after).pop(0))
        if len(mine) == len(theirs) == 1:
            labels.unite(mine[0], theirs[0])
        else:
            whole = labels.new(a)
            labels.make(whole, "product", mine)
            labels.make(whole, "product", theirs)


def _concatenate(labels, params, ins, outs):
    for place, axis in enumerate(outs[0]):
        parts = [axes[place] for axes in ins]
        if place == params["dimension"]:
            labels.make(axis, "sum", parts)
        else:
            _unite_all(labels, parts, [axis] * len(parts))


def _split(labels, params, ins, outs):
    for place, axis in enumerate(ins[0]):
        parts = [axes[place] for axes in outs]
        if place == params["axis"]:
            labels.make(axis, "sum", parts)
        else:
            _unite_all(labels, parts, [axis] * len(parts))


def _pad(labels, params, ins, outs):
    for before, after, (low, high, inner) in zip(ins[0], outs[0], params["padding_config"], strict=True):
        if low == high == inner == 0:
            labels.unite(before, after)
        elif inner == 0 and min(low, high) >= 0:
            labels.make(after, "sum", [labels.new(low, True), before, labels.new(high, True)])
        else:
            labels.pin(before, after)


def _slice(labels, params, ins, outs):
    strides = params["strides"] or (1,) * len(ins[0])
    bounds = zip(params["start_indices"], params["limit_indices"], strides, strict=True)
    for before, after, (start, limit, stride) in zip(ins[0], outs[0], bounds, strict=True):
        if stride != 1:
            labels.pin(before, after)
        else:
            rest = labels.size(before) - limit
            labels.make(before, "sum", [labels.new(start), after, labels.new(rest)])


def _dynamic_slice(labels, params, ins, outs):
    del params
    _unite_or_pin(labels, ins[0], outs[0])


def _dynamic_update_slice(labels, params, ins, outs):
    del params
    _unite_all(labels, ins[0], outs[0])
    _unite_or_pin(labels, ins[1], outs[0])


def _gather(labels, params, ins, outs):
    numbers, sizes = params["dimension_numbers"], params["slice_sizes"]
    gone = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
    windows = dict(zip((i for i in range(len(ins[0])) if i not in gone), numbers.offset_dims, strict=True))
    for place, axis in enumerate(ins[0]):
        if place in windows and place not in numbers.start_index_map and sizes[place] == labels.size(axis):
            labels.unite(axis, outs[0][windows[place]])
        else:
            labels.pin(axis, *([outs[0][windows[place]]] if place in windows else ()))
    labels.pin(*(axis for place, axis in enumerate(outs[0]) if place not in numbers.offset_dims))
    labels.pin(*(axis for axes in ins[1:] for axis in axes))


def _reduce(labels, params, ins, outs):
    labels.pin(*(ins[0][place] for place in params["axes"]))
    _unite_all(labels, [axis for place, axis in enumerate(ins[0]) if place not in params["axes"]], outs[0])


def _window(labels, params, ins, outs):
    dimensions = zip(*(params[name] for name in _PER_AXIS), strict=True)
    for before, after, (size, stride, padding, *dilations) in zip(ins[0], outs[0], dimensions, strict=True):
        if size == stride == 1 and tuple(padding) == (0, 0) and dilations == [1, 1]:
            labels.unite(before, after)
        else:
            labels.pin(before, after)


_PER_AXIS = ("window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation")


def _along(name: str) -> Rule:
    """Returns the rule of what is elementwise but for one axis or some, which its parameter of that name says."""

    def rule(labels, params, ins, outs):
        _elementwise(labels, params, ins, outs)
        places = params[name] if isinstance(params[name], tuple) else (params[name],)
        labels.pin(*(outs[0][place] for place in places))

    return rule


def _top_k(labels, params, ins, outs):
    place = params.get("axis", len(ins[0]) - 1) % len(ins[0])
    labels.pin(ins[0][place], *(axes[place] for axes in outs))
    for axes in outs:
        _unite_all(labels, *([axis for i, axis in enumerate(some) if i != place] for some in (ins[0], axes)))


def _convolve(labels, params, ins, outs):
    if params["batch_group_count"] != 1:
        _unknown(labels, params, ins, outs)
        return
    left, kernel, out = params["dimension_numbers"]
    labels.unite(ins[0][left[0]], outs[0][out[0]])
    labels.unite(ins[1][kernel[0]], outs[0][out[1]])
    for axes, spec in ((ins[0], left), (ins[1], kernel), (outs[0], out)):
        labels.pin(*(axes[place] for place in spec[2:]))
    inputs, outputs, groups = ins[0][left[1]], ins[1][kernel[0]], params["feature_group_count"]
    if groups == 1:
        labels.unite(inputs, ins[1][kernel[1]])
        return
    # Channels are grouped by the slowest factor, on both sides: a group is cut whole, or one channel from each.
    group = labels.new(groups)
    labels.make(inputs, "product", [group, ins[1][kernel[1]]])
    labels.make(outputs, "product", [group, labels.new(labels.size(outputs) // groups)])


def _multiply(labels, params, ins, outs):
    (summed, batch) = params["dimension_numbers"]
    for mine, theirs in ((summed[0], summed[1]), (batch[0], batch[1])):
        _unite_all(labels, [ins[0][place] for place in mine], [ins[1][place] for place in theirs])
    free = [
        axis
        for side in (0, 1)
        for place, axis in enumerate(ins[side])
        if place not in summed[side] and place not in batch[side]
    ]
    _unite_all(labels, [*(ins[0][place] for place in batch[0]), *free], outs[0])


def _unite_all(labels: Labels, some: Axes, others: Axes) -> None:
    for a, b in zip(some, others, strict=True):
        labels.unite(a, b)


def _unite_or_pin(labels: Labels, some: Axes, others: Axes) -> None:
    for a, b in zip(some, others, strict=True):
        if labels.size(a) == labels.size(b):
            labels.unite(a, b)
        else:
            labels.pin(a, b)


def _length(labels: Labels, axes: Axes) -> int:
    return math.prod(labels.size(axis) for axis in axes)


_RULES: dict[str, Rule] = {
    **dict.fromkeys((*_NAMES.split(), *CLIPS.values()), _elementwise),
    **dict.fromkeys(_REDUCTIONS.split(), _reduce),
    **dict.fromkeys(_WINDOWS.split(), _window),
    **{name: _along(parameter) for name, parameter in _ALONG.items()},
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "conv_general_dilated": _convolve,
    "dot_general": _multiply,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "gather": _gather,
    "pad": _pad,
    "reshape": _reshape,
    "slice": _slice,
    "split": _split,
    "squeeze": _squeeze,
    "top_k": _top_k,
    "transpose": _transpose,
}
