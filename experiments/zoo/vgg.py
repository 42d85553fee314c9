"""VGG: a plain chain of 3x3 convolutions and max pools (Simonyan and Zisserman, arXiv 1409.1556)."""

from collections.abc import Sequence

import jax
from flax import linen as nn

from experiments.zoo.parts import check_room, convolve, normalise


class VGG(nn.Module):
    """Stages of convolutions, followed by 2x2 max pools, then dense layers.

    classes: number of logits; 0 for a backbone, which ends before the dense layers.
    stem_stride: stride of the first convolution.
    widths, depths: channels and number of convolutions of each stage.
    dilations: of the convolutions of each stage; None for 1 everywhere.
    pools: number of first stages that are followed by a max pool; None for all.
    normalise: whether batch normalisation follows each convolution.
    bias: whether convolutions have a bias where normalisation follows, too.
    dense: widths of dense layers on the flattened features before the last; where there are none, the last reads the
      mean over space.
    dropout: share of values dropped after each of these while training.
    """

    classes: int
    stem_stride: int = 1
    widths: Sequence[int] = (16, 32, 64)
    depths: Sequence[int] = (1, 2, 2)
    dilations: Sequence[int] | None = None
    pools: int | None = None
    normalise: bool = True
    bias: bool = False
    dense: Sequence[int] = ()
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Returns logits [B, classes] of pictures [B, height, width, channels]; of a backbone, features."""
        stride, bias = self.stem_stride, self.bias or not self.normalise
        dilations = self.dilations or (1,) * len(self.widths)
        pools = len(self.widths) if self.pools is None else self.pools
        for stage, (width, depth, dilation) in enumerate(zip(self.widths, self.depths, dilations, strict=True)):
            for _ in range(depth):
                x = convolve(x, width, 3, stride, dilation=dilation, bias=bias, symmetric=False)
                x = normalise(x, train) if self.normalise else x
                x, stride = nn.relu(x), 1
            if stage < pools:
                check_room(x, 2)
                x = nn.max_pool(x, (2, 2), (2, 2))
        if not self.classes:
            return x
        x = x.reshape(x.shape[0], -1) if self.dense else x.mean(axis=(1, 2))
        for width in self.dense:
            x = nn.Dropout(self.dropout, deterministic=not train)(nn.relu(nn.Dense(width)(x)))
        return nn.Dense(self.classes)(x)
