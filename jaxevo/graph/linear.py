"""Merging two linear layers that follow each other into one.

A stitch `y = x W + b` over channels, followed by a convolution or dense layer with kernel `K`, is one layer with kernel
`W K`. Where the convolution pads with zeros, the bias counts only inside the picture: it is kept as a kernel `b K` of
one input channel that is convolved with ones, once for all examples, which is exact at the borders too.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxevo.graph.features import Feature
from jaxevo.graph.pieces import Piece
from jaxevo.graph.program import Equation
from jaxevo.space import Cost

#: Letters of the axes of a kernel in an einsum; "s" and "t" are the channels before and after the stitch.
_AXES = "abcdefgh"


class Entry(NamedTuple):
    """The linear layer of a piece that alone reads one of the piece's features.

    equation: its equation.
    leaf: number of the parameter leaf that is its kernel.
    axis: axis of the kernel that holds the input channels.
    """

    equation: Equation
    leaf: int
    axis: int


def entry(piece: Piece, value: int) -> Entry | None:
    """Finds the convolution or product that alone reads a feature, with a kernel that nothing else reads.

    Args:
      piece: a piece.
      value: number of the feature, one of those that the piece reads.

    Returns:
      The layer, or None where the feature has other readers or the layer is grouped, or none of these kinds.
    """
    program = piece.graph.program
    readers = program.readers.get(value, ())
    if len(readers) != 1 or readers[0] not in piece.equations or value in program.outputs:
        return None
    equation = program.equations[readers[0]]
    if equation.primitive not in ("conv_general_dilated", "dot_general") or equation.reads[0] != value:
        return None
    leaf = equation.reads[1]
    if leaf is None or leaf >= program.leaves or program.readers[leaf] != (readers[0],):
        return None
    axis = _input_axis(equation, piece.graph.features[value])
    return None if axis is None else Entry(equation, leaf, axis)


def _input_axis(equation: Equation, feature: Feature) -> int | None:
    params = equation.params
    if equation.primitive == "conv_general_dilated":
        numbers = params["dimension_numbers"]
        plain = params["feature_group_count"] == params["batch_group_count"] == 1
        return numbers.rhs_spec[1] if plain and numbers.lhs_spec[1] == feature.channel else None
    (left, right), batch = params["dimension_numbers"]
    return right[0] if tuple(left) == (feature.channel,) and not any(batch) else None


def saving(piece: Piece, value: int, channels: int) -> Cost | None:
    """Counts what merging a stitch into the layer after it saves.

    Args:
      piece: the piece that reads the stitch.
      value: number of the feature that the stitch replaces.
      channels: channels before the stitch.

    Returns:
      Multiply-adds and parameters less, or None where it cannot be merged or would cost more multiply-adds.
    """
    found = entry(piece, value)
    if found is None:
        return None
    program, feature = piece.graph.program, piece.graph.features[value]
    kernel = math.prod(program.avals[found.leaf].shape)
    per_channel = kernel // feature.channels
    rows = math.prod(program.avals[found.equation.writes[0]].shape) * per_channel
    rows //= _outputs(program.avals[found.leaf].shape, found) * program.avals[value].shape[feature.batch or 0]
    stitch = math.prod(feature.space) * channels * feature.channels
    saved = stitch + rows * feature.channels - rows * channels
    if saved <= 0:
        return None
    parameters = (channels + 1) * feature.channels + kernel - per_channel * (channels + 1)
    return Cost(saved, parameters)


def _outputs(shape, found):
    if found.equation.primitive == "conv_general_dilated":
        return shape[found.equation.params["dimension_numbers"].rhs_spec[0]]
    return math.prod(n for i, n in enumerate(shape) if i != found.axis)


def merge_kernels(found: Entry, kernel: jax.Array, bias: jax.Array, following: jax.Array) -> dict[str, jax.Array]:
    """Multiplies a stitch into the kernel after it.

    Args:
      found: the layer after the stitch.
      kernel: the stitch's kernel [S, T].
      bias: the stitch's bias [T].
      following: the layer's kernel, with T entries on `found.axis`.

    Returns:
      "kernel", with S entries on that axis, and "border", with one: what the bias contributes.
    """
    axes = _AXES[: following.ndim]
    after = axes.replace(axes[found.axis], "t")
    before = after.replace("t", "s")
    with jax.default_matmul_precision("highest"):
        return {
            "kernel": jnp.einsum(f"st,{after}->{before}", kernel, following).astype(following.dtype),
            "border": jnp.einsum(f"st,{after}->{before}", bias[None], following).astype(following.dtype),
        }


def merged_layer(found: Entry, feature: Feature) -> Callable[..., jax.Array]:
    """Returns the function `(merged, x) -> output` that computes stitch and layer at once.

    Args:
      found: the layer.
      feature: the feature that the layer reads; x is like it, with as many channels as there are before the stitch.
    """
    params, channel = found.equation.params, feature.channel
    dtype = found.equation.source.outvars[0].aval.dtype  # pyright: ignore[reportAttributeAccessIssue]
    assert channel is not None

    def convolve(x, kernel):
        keep = ("window_strides", "padding", "lhs_dilation", "rhs_dilation", "dimension_numbers", "precision")
        kept = {name: params[name] for name in keep}
        return jax.lax.conv_general_dilated(x, kernel, **kept, preferred_element_type=params["preferred_element_type"])

    def layer(merged, x):
        x = x.astype(merged["kernel"].dtype)
        if found.equation.primitive == "conv_general_dilated":
            ones = jnp.ones([1 if i in (0, channel) else n for i, n in enumerate(x.shape)], x.dtype)
            return (convolve(x, merged["kernel"]) + convolve(ones, merged["border"])).astype(dtype)
        product = jax.lax.dot_general(
            x, merged["kernel"], (((channel,), (found.axis,)), ((), ())), precision=params["precision"]
        )
        return (product + jnp.squeeze(merged["border"], found.axis)).astype(dtype)

    return layer
