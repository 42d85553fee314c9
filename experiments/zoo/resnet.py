"""ResNet (He et al., arXiv 1512.03385) and ResNeXt (Xie et al., arXiv 1611.05431): stages of residual blocks."""

from collections.abc import Sequence

import jax
from flax import linen as nn

from experiments.zoo.parts import convolve, normalise, stem_pool


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut.

    width: output channels.
    stride: stride of the first convolution.
    dilation: of both convolutions.
    symmetric: as in `ResNet`.
    """

    width: int
    stride: int = 1
    dilation: int = 1
    symmetric: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Runs the block on [B, height, width, channels]."""
        y = convolve(x, self.width, 3, self.stride, dilation=self.dilation, symmetric=self.symmetric)
        y = convolve(nn.relu(normalise(y, train)), self.width, 3, dilation=self.dilation)
        y = normalise(y, train)
        return nn.relu(y + _shortcut(x, self.width, self.stride, train))


class BottleneckBlock(nn.Module):
    """A 1x1 convolution to fewer channels, a 3x3 one that has the stride, a 1x1 one back, and a shortcut.

    width: output channels.
    inner: channels of the first two convolutions.
    stride, dilation, groups: of the 3x3 convolution.
    symmetric: as in `ResNet`.
    """

    width: int
    inner: int
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    symmetric: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Runs the block on [B, height, width, channels]."""
        y = nn.relu(normalise(convolve(x, self.inner, 1), train))
        setting = {"dilation": self.dilation, "groups": self.groups, "symmetric": self.symmetric}
        y = convolve(y, self.inner, 3, self.stride, **setting)
        y = convolve(nn.relu(normalise(y, train)), self.width, 1)
        return nn.relu(normalise(y, train) + _shortcut(x, self.width, self.stride, train))


def _shortcut(x: jax.Array, width: int, stride: int, train: bool) -> jax.Array:
    if stride == 1 and x.shape[-1] == width:
        return x
    return normalise(convolve(x, width, 1, stride), train)


class ResNet(nn.Module):
    """Stem, stages of residual blocks, mean over space, dense layer.

    classes: number of logits; 0 for a backbone, which ends before the mean.
    stem, stem_side, stem_stride: channels, side and stride of the first convolution.
    stem_pool: whether a 3x3 max pool of stride 2 follows it.
    widths, depths, strides: output channels, number of blocks and stride of each stage.
    dilations: of the 3x3 convolutions of each stage; its first block has the stage before's, as torchvision has it, so
      that a stride can be exchanged for a dilation. None for 1 everywhere.
    bottleneck: inner channels of a bottleneck block as a share of its output; 0 makes basic blocks.
    groups: of the 3x3 convolutions of bottleneck blocks (ResNeXt's cardinality).
    symmetric: whether strided convolutions are padded alike at both ends, see `convolve`.
    """

    classes: int
    stem: int = 16
    stem_side: int = 3
    stem_stride: int = 2
    stem_pool: bool = False
    widths: Sequence[int] = (16, 32, 64)
    depths: Sequence[int] = (2, 2, 2)
    strides: Sequence[int] = (1, 2, 2)
    dilations: Sequence[int] | None = None
    bottleneck: float = 0.0
    groups: int = 1
    symmetric: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Returns logits [B, classes] of pictures [B, height, width, channels]; of a backbone, features."""
        x = convolve(x, self.stem, self.stem_side, self.stem_stride, symmetric=self.symmetric)
        x = nn.relu(normalise(x, train))
        x = stem_pool(x) if self.stem_pool else x
        dilations, before = self.dilations or (1,) * len(self.widths), 1
        for width, depth, stride, dilation in zip(self.widths, self.depths, self.strides, dilations, strict=True):
            for block in range(depth):
                step, reach = (stride, before) if block == 0 else (1, dilation)
                if self.bottleneck:
                    inner = round(width * self.bottleneck)
                    x = BottleneckBlock(width, inner, step, reach, self.groups, self.symmetric)(x, train)
                else:
                    x = BasicBlock(width, step, reach, self.symmetric)(x, train)
            before = dilation
        return nn.Dense(self.classes)(x.mean(axis=(1, 2))) if self.classes else x
