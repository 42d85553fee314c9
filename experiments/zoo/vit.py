"""ViT: attention over patches (Dosovitskiy et al., arXiv 2010.11929), normalised before each part."""

import jax
import jax.numpy as jnp
from flax import linen as nn


class Encoder(nn.Module):
    """Attention and two dense layers, each with normalisation before and a shortcut around it.

    heads: number of attention heads.
    expansion: inner width of the dense layers as a multiple of the token's.
    dropout: share of values dropped while training.
    """

    heads: int
    expansion: int = 2
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Runs the block on tokens [B, tokens, width]."""
        width = x.shape[-1]
        y = nn.MultiHeadDotProductAttention(self.heads)(nn.LayerNorm()(x))
        x = x + nn.Dropout(self.dropout, deterministic=not train)(y)
        y = nn.gelu(nn.Dense(width * self.expansion)(nn.LayerNorm()(x)))
        return x + nn.Dropout(self.dropout, deterministic=not train)(nn.Dense(width)(y))


class ViT(nn.Module):
    """Patches with learned positions, encoder blocks, class token or mean of the tokens, dense layer.

    classes: number of logits.
    patch: side of a patch in pixels.
    width, depth, heads: width of a token, number of blocks, attention heads.
    expansion, dropout: as in `Encoder`.
    class_token: whether a learned token is read out; else the mean of all tokens.
    """

    classes: int
    patch: int = 4
    width: int = 64
    depth: int = 4
    heads: int = 4
    expansion: int = 2
    dropout: float = 0.0
    class_token: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Returns logits [B, classes] of pictures [B, height, width, channels]."""
        x = nn.Conv(self.width, (self.patch, self.patch), self.patch)(x)
        x = x.reshape(x.shape[0], -1, self.width)
        if self.class_token:
            token = self.param("class_token", nn.initializers.zeros, (1, 1, self.width))
            x = jnp.concatenate([jnp.broadcast_to(token, (x.shape[0], 1, self.width)), x], axis=1)
        x = x + self.param("positions", nn.initializers.normal(0.02), (1, *x.shape[1:]))
        for _ in range(self.depth):
            x = Encoder(self.heads, self.expansion, self.dropout)(x, train)
        x = nn.LayerNorm()(x)
        return nn.Dense(self.classes)(x[:, 0] if self.class_token else x.mean(axis=1))
