"""MobileNets: inverted residual bottlenecks (V2: Sandler et al., arXiv 1801.04381; V3: Howard et al., 1905.02244)."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
from flax import linen as nn

from experiments.zoo.parts import convolve, drop_path, excite, normalise


class Style(NamedTuple):
    """What all bottlenecks of a network have in common.

    activation: after the expansion and the depthwise convolution.
    inner, gate: activations of the squeeze-and-excite.
    epsilon: added to the variance by normalisations.
    symmetric: whether strided convolutions are padded alike at both ends, see `convolve`.
    """

    activation: Callable = nn.relu6
    inner: Callable = nn.relu
    gate: Callable = nn.sigmoid
    epsilon: float = 1e-5
    symmetric: bool = True


class Bottleneck(nn.Module):
    """Expand by a 1x1 convolution, filter each channel, project back, add.

    width: output channels.
    inner: channels between; the expansion is left out where there are as many to begin with.
    kernel, stride, dilation: side, stride and dilation of the depthwise convolution.
    squeezed: channels of the squeeze-and-excite; 0 leaves it out.
    style: what is the same in the whole network.
    drop: share of examples for which the branch is dropped while training.
    """

    width: int
    inner: int
    kernel: int = 3
    stride: int = 1
    squeezed: int = 0
    style: Style = Style()
    drop: float = 0.0
    dilation: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Runs the block on [B, height, width, channels]."""
        act, epsilon, y = self.style.activation, self.style.epsilon, x
        if self.inner != x.shape[-1]:
            y = act(normalise(convolve(x, self.inner, 1), train, epsilon))
        setting = {"dilation": self.dilation, "groups": self.inner, "symmetric": self.style.symmetric}
        y = convolve(y, self.inner, self.kernel, self.stride, **setting)
        y = act(normalise(y, train, epsilon))
        if self.squeezed:
            y = excite(y, self.squeezed, self.style.inner, self.style.gate)
        y = normalise(convolve(y, self.width, 1), train, epsilon)
        if self.stride != 1 or x.shape[-1] != self.width:
            return y
        return x + drop_path(y, self.drop, train)


class MobileNet(nn.Module):
    """Stem, stages of bottlenecks, a 1x1 convolution, mean over space, dense layer.

    classes: number of logits.
    stem, stem_stride: channels and stride of the first convolution.
    widths, depths, strides: channels, number of bottlenecks and stride of each stage.
    expansion: inner channels of a bottleneck as a multiple of its input's.
    kernel: side of the depthwise convolutions.
    excite: channels of the squeeze-and-excite as a share of the inner ones; 0 leaves it out.
    head: channels of the last 1x1 convolution; 0 leaves it out.
    """

    classes: int
    stem: int = 16
    stem_stride: int = 2
    widths: Sequence[int] = (16, 24, 32)
    depths: Sequence[int] = (2, 2, 2)
    strides: Sequence[int] = (1, 2, 2)
    expansion: int = 4
    kernel: int = 3
    excite: float = 0.0
    head: int = 96

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Returns logits [B, classes] of pictures [B, height, width, channels]."""
        style = Style(symmetric=False)
        x = nn.relu6(normalise(convolve(x, self.stem, 3, self.stem_stride, symmetric=False), train))
        for width, depth, stride in zip(self.widths, self.depths, self.strides, strict=True):
            for block in range(depth):
                step, inner = stride if block == 0 else 1, x.shape[-1] * self.expansion
                squeezed = max(1, int(inner * self.excite)) if self.excite else 0
                x = Bottleneck(width, inner, self.kernel, step, squeezed, style)(x, train)
        if self.head:
            x = nn.relu6(normalise(convolve(x, self.head, 1), train))
        return nn.Dense(self.classes)(x.mean(axis=(1, 2)))


class Row(NamedTuple):
    """A bottleneck of MobileNetV3, a row of the paper's tables 1 and 2.

    kernel: side of the depthwise convolution.
    inner, width: channels between and of the output.
    excite: whether it has a squeeze-and-excite.
    swish: whether its activation is the hard swish; else the rectifier.
    stride, dilation: of the depthwise convolution.
    """

    kernel: int
    inner: int
    width: int
    excite: bool
    swish: bool
    stride: int
    dilation: int = 1


class MobileNetV3(nn.Module):
    """Stem, bottlenecks, a 1x1 convolution, mean over space, two dense layers.

    classes: number of logits; 0 for a backbone, which ends before the mean.
    stem, stem_stride: channels and stride of the first convolution.
    rows: the bottlenecks, each as `Row`.
    head: channels of the last 1x1 convolution.
    dense: width of the first dense layer.
    dropout: share of values dropped before the last one while training.
    """

    classes: int
    stem: int = 16
    stem_stride: int = 2
    rows: Sequence[Row] = (
        Row(3, 16, 16, excite=True, swish=False, stride=1),
        Row(3, 64, 24, excite=False, swish=False, stride=2),
        Row(3, 72, 24, excite=False, swish=False, stride=1),
        Row(5, 96, 40, excite=True, swish=True, stride=2),
        Row(5, 120, 40, excite=True, swish=True, stride=1),
    )
    head: int = 120
    dense: int = 128
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Returns logits [B, classes] of pictures [B, height, width, channels]; of a backbone, features."""
        epsilon = 1e-3
        x = nn.hard_swish(normalise(convolve(x, self.stem, 3, self.stem_stride), train, epsilon))
        for row in (Row(*row) for row in self.rows):
            style = Style(nn.hard_swish if row.swish else nn.relu, nn.relu, nn.hard_sigmoid, epsilon)
            squeezed = divisible(row.inner / 4) if row.excite else 0
            block = Bottleneck(row.width, row.inner, row.kernel, row.stride, squeezed, style, dilation=row.dilation)
            x = block(x, train)
        x = nn.hard_swish(normalise(convolve(x, self.head, 1), train, epsilon))
        if not self.classes:
            return x
        x = nn.hard_swish(nn.Dense(self.dense)(x.mean(axis=(1, 2))))
        return nn.Dense(self.classes)(nn.Dropout(self.dropout, deterministic=not train)(x))


def divisible(channels: float, by: int = 8) -> int:
    """Rounds a number of channels to a multiple, never below 0.9 of it, as MobileNets and EfficientNets do."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded if rounded >= 0.9 * channels else rounded + by
