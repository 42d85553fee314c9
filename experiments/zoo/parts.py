"""What several families are made of; called inside a module, each makes that module's next submodules."""

from collections.abc import Callable
from typing import Any

import jax
from flax import linen as nn


def convolve(
    x: jax.Array,
    width: int,
    side: int,
    stride: int = 1,
    *,
    dilation: int = 1,
    groups: int = 1,
    bias: bool = False,
    symmetric: bool = True,
) -> jax.Array:
    """Convolves, with as much padding as keeps the spatial size at stride 1.

    Args:
      x: features [B, height, width, channels].
      width: output channels.
      side, stride: of the kernel, on both axes.
      dilation: distance of the pixels that the kernel reads, on both axes.
      groups: of channels that are convolved apart.
      bias: whether a bias is added.
      symmetric: whether both ends are padded alike, as torch does; else as TensorFlow does, where a stride may leave
        one more behind than before. Both are the same at stride 1.
    """
    reach = dilation * (side - 1)
    padding = [(reach // 2, reach - reach // 2)] * 2 if symmetric else "SAME"
    return nn.Conv(
        width, (side, side), stride, padding, kernel_dilation=dilation, feature_group_count=groups, use_bias=bias
    )(x)


def patches(x: jax.Array, width: int, side: int) -> jax.Array:
    """Convolves squares that do not overlap; what is left at the ends of the axes is dropped.

    Args:
      x: features [B, height, width, channels].
      width: output channels.
      side: of the squares.

    Raises:
      ValueError: where x is smaller than one square.
    """
    check_room(x, side)
    return nn.Conv(width, (side, side), side, "VALID")(x)


def stem_pool(x: jax.Array) -> jax.Array:
    """Takes the largest of 3x3 at every second place, both ends padded alike, as torch does."""
    padding: Any = ((1, 1), (1, 1))  # Flax says that it is text.
    return nn.max_pool(x, (3, 3), (2, 2), padding)


def normalise(x: jax.Array, train: bool, epsilon: float = 1e-5) -> jax.Array:
    """Batch normalisation whose running statistics keep 0.9 of themselves a step."""
    return nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=epsilon)(x)


def excite(x: jax.Array, squeezed: int, inner: Callable, gate: Callable) -> jax.Array:
    """Squeeze-and-excite: scales each channel by what two dense layers make of all channels' means (arXiv 1709.01507).

    Args:
      x: features [B, height, width, channels].
      squeezed: width of the first dense layer.
      inner, gate: activations of the two.
    """
    y = inner(nn.Dense(squeezed)(x.mean(axis=(1, 2))))
    return x * gate(nn.Dense(x.shape[-1])(y))[:, None, None, :]


def drop_path(x: jax.Array, rate: float, train: bool) -> jax.Array:
    """Stochastic depth: while training, drops a residual branch of some examples whole (arXiv 1603.09382).

    Args:
      x: the branch [B, ...].
      rate: share of examples for which it is dropped; the others are scaled by 1 / (1 - rate).
      train: whether this is training.
    """
    return nn.Dropout(rate, broadcast_dims=tuple(range(1, x.ndim)), deterministic=not train)(x)


def check_room(x: jax.Array, side: int) -> None:
    """Raises ValueError where features [B, height, width, channels] are smaller than a square that must fit."""
    if min(x.shape[1:3]) < side:
        raise ValueError(
            f"features of {x.shape[1]}x{x.shape[2]} are to be reduced by squares of {side}x{side}; "
            "use larger pictures, a smaller stride at the stem, or fewer stages"
        )
