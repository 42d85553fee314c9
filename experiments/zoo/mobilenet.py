"""MobileNet: inverted residual bottlenecks (Sandler et al., arXiv 1801.04381), optionally with squeeze-and-excite."""

from collections.abc import Sequence

import jax
from flax import linen as nn


class Bottleneck(nn.Module):
    """Expand by a 1x1 convolution, filter each channel, project back, add.

    width: output channels.
    stride: stride of the depthwise convolution.
    expansion: inner channels as a multiple of the input's.
    kernel: side of the depthwise convolution.
    excite: channels of the squeeze-and-excite as a share of the inner ones; 0 leaves it out.
    """

    width: int
    stride: int = 1
    expansion: int = 4
    kernel: int = 3
    excite: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Runs the block on [B, height, width, channels]."""

        def norm(y):
            return nn.BatchNorm(use_running_average=not train, momentum=0.9)(y)

        inner = x.shape[-1] * self.expansion
        y = nn.relu6(norm(nn.Conv(inner, (1, 1), use_bias=False)(x))) if self.expansion != 1 else x
        side = (self.kernel, self.kernel)
        y = nn.relu6(norm(nn.Conv(inner, side, self.stride, feature_group_count=inner, use_bias=False)(y)))
        if self.excite:
            gate = nn.relu(nn.Dense(max(1, int(inner * self.excite)))(y.mean(axis=(1, 2))))
            y = y * nn.sigmoid(nn.Dense(inner)(gate))[:, None, None, :]
        y = norm(nn.Conv(self.width, (1, 1), use_bias=False)(y))
        return x + y if self.stride == 1 and x.shape[-1] == self.width else y


class MobileNet(nn.Module):
    """Stem, stages of bottlenecks, a 1x1 convolution, mean over space, dense layer.

    classes: number of logits.
    stem, stem_stride: channels and stride of the first convolution.
    widths, depths, strides: channels, number of bottlenecks and stride of each stage.
    expansion, kernel, excite: as in `Bottleneck`.
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

        def norm(y):
            return nn.relu6(nn.BatchNorm(use_running_average=not train, momentum=0.9)(y))

        x = norm(nn.Conv(self.stem, (3, 3), self.stem_stride, use_bias=False)(x))
        for width, depth, stride in zip(self.widths, self.depths, self.strides, strict=True):
            for block in range(depth):
                step = stride if block == 0 else 1
                x = Bottleneck(width, step, self.expansion, self.kernel, self.excite)(x, train)
        if self.head:
            x = norm(nn.Conv(self.head, (1, 1), use_bias=False)(x))
        return nn.Dense(self.classes)(x.mean(axis=(1, 2)))
