"""ViT: attention over patches (Dosovitskiy et al., arXiv 2010.11929), normalised before each part."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from experiments.zoo.parts import drop_path, patches


class Encoder(nn.Module):
    """Attention and two dense layers, each with normalisation before and a shortcut around it.

    heads, expansion, approximate, dropout: as in `ViT`.
    drop: share of examples for which a branch is dropped while training.
    """

    heads: int
    expansion: int = 2
    approximate: bool = True
    dropout: float = 0.0
    drop: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Runs the block on tokens [B, tokens, width]."""
        width = x.shape[-1]

        def dropped(y):
            return drop_path(nn.Dropout(self.dropout, deterministic=not train)(y), self.drop, train)

        x = x + dropped(nn.MultiHeadDotProductAttention(self.heads)(nn.LayerNorm()(x)))
        y = nn.gelu(nn.Dense(width * self.expansion)(nn.LayerNorm()(x)), approximate=self.approximate)
        return x + dropped(nn.Dense(width)(y))


class ViT(nn.Module):
    """Patches with learned positions, encoder blocks, class token or mean of the tokens, dense layer.

    classes: number of logits.
    patch: side of a patch in pixels.
    width, depth, heads: width of a token, number of blocks, attention heads.
    expansion: inner width of a block's dense layers as a multiple of the token's.
    class_token: whether a learned token is read out; else the mean of all tokens.
    approximate: whether GELU is computed by tanh instead of the error function.
    dropout: share of values dropped after each part while training.
    drop_path: share of examples for which a part is dropped while training; grows evenly from 0 to it.
    """

    classes: int
    patch: int = 4
    width: int = 64
    depth: int = 4
    heads: int = 4
    expansion: int = 2
    class_token: bool = False
    approximate: bool = True
    dropout: float = 0.0
    drop_path: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Returns logits [B, classes] of pictures [B, height, width, channels]."""
        x = patches(x, self.width, self.patch)
        x = x.reshape(x.shape[0], -1, self.width)
        if self.class_token:
            token = self.param("class_token", nn.initializers.zeros, (1, 1, self.width))
            x = jnp.concatenate([jnp.broadcast_to(token, (x.shape[0], 1, self.width)), x], axis=1)
        x = x + self.param("positions", nn.initializers.normal(0.02), (1, *x.shape[1:]))
        for block in range(self.depth):
            drop = self.drop_path * block / max(1, self.depth - 1)
            x = Encoder(self.heads, self.expansion, self.approximate, self.dropout, drop)(x, train)
        x = nn.LayerNorm()(x)
        return nn.Dense(self.classes)(x[:, 0] if self.class_token else x.mean(axis=1))
