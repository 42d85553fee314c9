"""ConvNeXt: large depthwise convolutions, layer normalisation and GELU (Liu et al., arXiv 2201.03545)."""

from collections.abc import Sequence

import jax
from flax import linen as nn

from experiments.zoo.parts import convolve, drop_path, patches


class Block(nn.Module):
    """Depthwise convolution, normalisation, two dense layers, shortcut.

    kernel, expansion, layer_scale, approximate: as in `ConvNeXt`.
    drop: share of examples for which the branch is dropped while training.
    """

    kernel: int = 5
    expansion: int = 4
    layer_scale: float = 0.0
    approximate: bool = True
    drop: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Runs the block on [B, height, width, channels]."""
        width = x.shape[-1]
        y = nn.LayerNorm()(convolve(x, width, self.kernel, groups=width, bias=True))
        y = nn.gelu(nn.Dense(width * self.expansion)(y), approximate=self.approximate)
        y = nn.Dense(width)(y)
        if self.layer_scale:
            y = y * self.param("layer_scale", nn.initializers.constant(self.layer_scale), (width,))
        return x + drop_path(y, self.drop, train)


class ConvNeXt(nn.Module):
    """Patches, stages of blocks with 2x2 reductions between them, mean over space, dense layer.

    classes: number of logits.
    patch: side and stride of the first convolution.
    widths, depths: channels and number of blocks of each stage.
    kernel: side of the depthwise convolutions.
    expansion: inner channels as a multiple of the input's.
    layer_scale: what the learned scale of each block's channels begins at; 0 leaves it out.
    approximate: whether GELU is computed by tanh instead of the error function.
    drop_path: share of examples for which a block is dropped while training; grows evenly from 0 to it.
    """

    classes: int
    patch: int = 2
    widths: Sequence[int] = (16, 32, 64)
    depths: Sequence[int] = (1, 1, 1)
    kernel: int = 5
    expansion: int = 4
    layer_scale: float = 0.0
    approximate: bool = True
    drop_path: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Returns logits [B, classes] of pictures [B, height, width, channels]."""
        x = nn.LayerNorm()(patches(x, self.widths[0], self.patch))
        index, last = 0, max(1, sum(self.depths) - 1)
        for stage, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            if stage:
                x = patches(nn.LayerNorm()(x), width, 2)
            for _ in range(depth):
                drop = self.drop_path * index / last
                x = Block(self.kernel, self.expansion, self.layer_scale, self.approximate, drop)(x, train)
                index += 1
        return nn.Dense(self.classes)(nn.LayerNorm()(x.mean(axis=(1, 2))))
