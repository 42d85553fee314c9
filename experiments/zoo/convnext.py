"""ConvNeXt: large depthwise convolutions, layer normalisation and GELU (Liu et al., arXiv 2201.03545)."""

from collections.abc import Sequence

import jax
from flax import linen as nn


class Block(nn.Module):
    """Depthwise convolution, normalisation, two dense layers, shortcut.

    kernel: side of the depthwise convolution.
    expansion: inner channels as a multiple of the input's.
    """

    kernel: int = 5
    expansion: int = 4

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Runs the block on [B, height, width, channels]."""
        width = x.shape[-1]
        y = nn.Conv(width, (self.kernel, self.kernel), feature_group_count=width)(x)
        y = nn.gelu(nn.Dense(width * self.expansion)(nn.LayerNorm()(y)))
        return x + nn.Dense(width)(y)


class ConvNeXt(nn.Module):
    """Patches, stages of blocks with 2x2 reductions between them, mean over space, dense layer.

    classes: number of logits.
    patch: side and stride of the first convolution.
    widths, depths: channels and number of blocks of each stage.
    kernel, expansion: as in `Block`.
    """

    classes: int
    patch: int = 2
    widths: Sequence[int] = (16, 32, 64)
    depths: Sequence[int] = (1, 1, 1)
    kernel: int = 5
    expansion: int = 4

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:  # noqa: ARG002 - one signature for all
        """Returns logits [B, classes] of pictures [B, height, width, channels]; training changes nothing."""
        x = nn.LayerNorm()(nn.Conv(self.widths[0], (self.patch, self.patch), self.patch)(x))
        for stage, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            if stage:
                x = nn.Conv(width, (2, 2), 2)(nn.LayerNorm()(x))
            for _ in range(depth):
                x = Block(self.kernel, self.expansion)(x)
        return nn.Dense(self.classes)(nn.LayerNorm()(x.mean(axis=(1, 2))))
