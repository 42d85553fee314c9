"""DenseNet: each layer reads what all layers before it in its stage wrote (Huang et al., arXiv 1608.06993)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from experiments.zoo.parts import check_room, convolve, normalise, stem_pool


class DenseLayer(nn.Module):
    """A 1x1 and a 3x3 convolution, each normalised before, whose outputs are appended to the inputs.

    growth: channels that are appended.
    expansion: channels of the 1x1 convolution as a multiple of these.
    """

    growth: int
    expansion: int = 4

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Runs the layer on [B, height, width, channels]; `growth` channels more come back."""
        y = convolve(nn.relu(normalise(x, train)), self.expansion * self.growth, 1)
        y = convolve(nn.relu(normalise(y, train)), self.growth, 3)
        return jnp.concatenate([x, y], axis=-1)


class Transition(nn.Module):
    """A 1x1 convolution to half the channels and a 2x2 mean."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Runs the layer on [B, height, width, channels]."""
        check_room(x, 2)
        x = convolve(nn.relu(normalise(x, train)), x.shape[-1] // 2, 1)
        return nn.avg_pool(x, (2, 2), (2, 2))


class DenseNet(nn.Module):
    """Stem, stages of dense layers with transitions between them, mean over space, dense layer.

    classes: number of logits.
    stem, stem_side, stem_stride: channels, side and stride of the first convolution.
    stem_pool: whether a 3x3 max pool of stride 2 follows it.
    depths: number of dense layers of each stage.
    growth, expansion: as in `DenseLayer`.
    """

    classes: int
    stem: int = 16
    stem_side: int = 3
    stem_stride: int = 2
    stem_pool: bool = False
    depths: Sequence[int] = (3, 3, 3)
    growth: int = 8
    expansion: int = 4

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Returns logits [B, classes] of pictures [B, height, width, channels]."""
        x = nn.relu(normalise(convolve(x, self.stem, self.stem_side, self.stem_stride), train))
        x = stem_pool(x) if self.stem_pool else x
        for stage, depth in enumerate(self.depths):
            x = Transition()(x, train) if stage else x
            for _ in range(depth):
                x = DenseLayer(self.growth, self.expansion)(x, train)
        return nn.Dense(self.classes)(nn.relu(normalise(x, train)).mean(axis=(1, 2)))
