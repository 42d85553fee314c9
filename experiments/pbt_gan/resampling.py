"""Maps at twice and at half their size, as PyTorch has them.

B is the batch size, H and W are height and width, C channels.
"""

import jax
import jax.numpy as jnp

from jaxevo.pbt.convolutions import enlarged, pooled


def grown(maps: jax.Array, times: int, mode: str) -> jax.Array:
    """Returns maps [B, H, W, C] at so many times their size, "nearest" or "bilinear" between centres of pixels."""
    if times == 1 or mode == "nearest":
        return enlarged(maps, times)
    batch, height, width, channels = maps.shape
    return jax.image.resize(maps, (batch, times * height, times * width, channels), "bilinear", antialias=False)


def transposed(maps: jax.Array, taps: jax.Array) -> jax.Array:
    """Returns the transposed convolution of each channel at twice the size.

    It is that of side 3, stride 2, padding 1 and output padding 1. Written out as the four pixels that each pixel
    becomes: compilers are slow at convolutions of one channel each.

    Args:
      maps: [B, H, W, C].
      taps: [3, 3, C], which input pixel (i, j) adds to output pixels (2 i - 1, 2 j - 1) to (2 i + 1, 2 j + 1).
    """
    batch, height, width, channels = maps.shape
    below, right = (jnp.pad(maps, [(0, int(axis == at)) for axis in range(4)]) for at in (1, 2))
    below, right = below[:, 1:], right[:, :, 1:]
    across = jnp.pad(below, ((0, 0), (0, 0), (0, 1), (0, 0)))[:, :, 1:]
    even = maps * taps[1, 1], maps * taps[1, 2] + right * taps[1, 0]
    odd = (
        maps * taps[2, 1] + below * taps[0, 1],
        maps * taps[2, 2] + right * taps[2, 0] + below * taps[0, 2] + across * taps[0, 0],
    )
    rows = [jnp.stack(row, axis=3).reshape(batch, height, 2 * width, channels) for row in (even, odd)]
    return jnp.stack(rows, axis=2).reshape(batch, 2 * height, 2 * width, channels)


def means(maps: jax.Array) -> jax.Array:
    """Returns the means of maps [B, H, W, C], of even size, over squares of two pixels."""
    return pooled(maps, 2)


def largest(maps: jax.Array) -> jax.Array:
    """Returns the largest values of maps [B, H, W, C], of even size, in squares of two pixels."""
    batch, height, width, channels = maps.shape
    return maps.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))
