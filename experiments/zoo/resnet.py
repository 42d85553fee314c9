"""ResNet: stages of basic residual blocks (He et al., arXiv 1512.03385)."""

from collections.abc import Sequence

import jax
from flax import linen as nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut.

    width: output channels.
    stride: stride of the first convolution.
    """

    width: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Runs the block on [B, height, width, channels]."""

        def norm(y):
            return nn.BatchNorm(use_running_average=not train, momentum=0.9)(y)

        shortcut = x
        y = nn.relu(norm(nn.Conv(self.width, (3, 3), self.stride, use_bias=False)(x)))
        y = norm(nn.Conv(self.width, (3, 3), use_bias=False)(y))
        if self.stride != 1 or x.shape[-1] != self.width:
            shortcut = norm(nn.Conv(self.width, (1, 1), self.stride, use_bias=False)(x))
        return nn.relu(y + shortcut)


class ResNet(nn.Module):
    """Stem, stages of basic blocks, mean over space, dense layer.

    classes: number of logits.
    stem, stem_stride: channels and stride of the first convolution.
    widths, depths, strides: channels, number of blocks and stride of each stage.
    """

    classes: int
    stem: int = 16
    stem_stride: int = 2
    widths: Sequence[int] = (16, 32, 64)
    depths: Sequence[int] = (2, 2, 2)
    strides: Sequence[int] = (1, 2, 2)

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Returns logits [B, classes] of pictures [B, height, width, channels]."""
        x = nn.Conv(self.stem, (3, 3), self.stem_stride, use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
        for width, depth, stride in zip(self.widths, self.depths, self.strides, strict=True):
            for block in range(depth):
                x = BasicBlock(width, stride if block == 0 else 1)(x, train)
        return nn.Dense(self.classes)(x.mean(axis=(1, 2)))
