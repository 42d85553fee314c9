"""EfficientNet: inverted bottlenecks scaled in width, depth and resolution (Tan and Le, arXiv 1905.11946)."""

import math
from collections.abc import Sequence

import jax
from flax import linen as nn

from experiments.zoo.mobilenet import Bottleneck, Style, divisible
from experiments.zoo.parts import convolve, normalise


class EfficientNet(nn.Module):
    """Stem, stages of bottlenecks with squeeze-and-excite, a 1x1 convolution, mean over space, dense layer.

    classes: number of logits.
    stem, stem_stride: channels and stride of the first convolution.
    widths, depths, strides, kernels, expansions: of each stage's bottlenecks: channels, number, stride of the first,
      side of the depthwise convolutions, inner channels as a multiple of the input's.
    head: channels of the last 1x1 convolution.
    width_factor: all channels are multiplied by it and rounded to a multiple of 8.
    depth_factor: all depths are multiplied by it and rounded up.
    dropout: share of values dropped before the dense layer while training.
    drop_path: share of examples for which a block is dropped while training; grows evenly from 0 towards it.
    epsilon: added to the variance by normalisations.
    """

    classes: int
    stem: int = 16
    stem_stride: int = 2
    widths: Sequence[int] = (16, 24, 40)
    depths: Sequence[int] = (1, 2, 2)
    strides: Sequence[int] = (1, 2, 2)
    kernels: Sequence[int] = (3, 3, 5)
    expansions: Sequence[int] = (1, 4, 4)
    head: int = 128
    width_factor: float = 1.0
    depth_factor: float = 1.0
    dropout: float = 0.0
    drop_path: float = 0.0
    epsilon: float = 1e-3

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Returns logits [B, classes] of pictures [B, height, width, channels]."""
        style = Style(nn.silu, nn.silu, nn.sigmoid, self.epsilon)
        depths = [math.ceil(depth * self.depth_factor) for depth in self.depths]
        stages = zip(self.widths, depths, self.strides, self.kernels, self.expansions, strict=True)
        x = nn.silu(normalise(convolve(x, self._scaled(self.stem), 3, self.stem_stride), train, self.epsilon))
        index = 0
        for width, depth, stride, kernel, expansion in stages:
            for block in range(depth):
                step, channels = stride if block == 0 else 1, x.shape[-1]
                squeezed, drop = max(1, channels // 4), self.drop_path * index / sum(depths)
                width_out, inner = self._scaled(width), channels * expansion
                x = Bottleneck(width_out, inner, kernel, step, squeezed, style, drop)(x, train)
                index += 1
        x = nn.silu(normalise(convolve(x, self._scaled(self.head), 1), train, self.epsilon)).mean(axis=(1, 2))
        return nn.Dense(self.classes)(nn.Dropout(self.dropout, deterministic=not train)(x))

    def _scaled(self, channels: int) -> int:
        return channels if self.width_factor == 1 else divisible(channels * self.width_factor)
