"""VGG: a plain chain of 3x3 convolutions and max pools (Simonyan and Zisserman, arXiv 1409.1556)."""

from collections.abc import Sequence

import jax
from flax import linen as nn


class VGG(nn.Module):
    """Stages of convolutions, each followed by a 2x2 max pool, then mean over space and a dense layer.

    classes: number of logits.
    stem_stride: stride of the first convolution.
    widths, depths: channels and number of convolutions of each stage.
    normalise: whether batch normalisation follows each convolution.
    """

    classes: int
    stem_stride: int = 1
    widths: Sequence[int] = (16, 32, 64)
    depths: Sequence[int] = (1, 2, 2)
    normalise: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Returns logits [B, classes] of pictures [B, height, width, channels]."""
        stride = self.stem_stride
        for width, depth in zip(self.widths, self.depths, strict=True):
            for _ in range(depth):
                x = nn.Conv(width, (3, 3), stride, use_bias=not self.normalise)(x)
                x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x) if self.normalise else x
                x, stride = nn.relu(x), 1
            x = nn.max_pool(x, (2, 2), (2, 2))
        return nn.Dense(self.classes)(x.mean(axis=(1, 2)))
