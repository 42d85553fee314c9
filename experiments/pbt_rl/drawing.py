"""A small rasteriser: discs and lines with smooth edges, as functions of where they lie, traceable.

The picture is the square [-1, 1] x [-1, 1], x to the right and y upwards. S is its side in pixels.
"""

import jax
import jax.numpy as jnp


def disc(size: int, center: jax.Array, radius: float) -> jax.Array:
    """Returns how much of each pixel a disc covers, float [S, S] in [0, 1].

    Args:
      size: S.
      center: [2], x and y.
      radius: in units of the picture.
    """
    return _covered(size, jnp.linalg.norm(_pixels(size) - center, axis=-1) - radius)


def line(size: int, start: jax.Array, end: jax.Array, width: float) -> jax.Array:
    """Returns how much of each pixel a line with round ends covers, float [S, S] in [0, 1].

    Args:
      size: S.
      start, end: [2], x and y; two different points.
      width: in units of the picture.
    """
    along = end - start
    beside = _pixels(size) - start
    share = jnp.clip(beside @ along / (along @ along), 0, 1)
    return _covered(size, jnp.linalg.norm(beside - share[..., None] * along, axis=-1) - width / 2)


def picture(*covered: jax.Array) -> jax.Array:
    """Returns a grey picture uint8 [S, S, 1], black where one of the shapes covers a pixel and white elsewhere."""
    shapes = jnp.stack(covered).max(axis=0)
    return jnp.round(255 * (1 - shapes)).astype(jnp.uint8)[..., None]


def _pixels(size: int) -> jax.Array:
    """Returns where the middle of each pixel lies, [S, S, 2]; the first row is on top."""
    middle = (jnp.arange(size) + 0.5) * 2 / size - 1
    x, y = jnp.meshgrid(middle, -middle)
    return jnp.stack([x, y], axis=-1)


def _covered(size: int, distance: jax.Array) -> jax.Array:
    """Returns the share of pixels inside of an edge at a signed distance, to about a tenth."""
    return jnp.clip(0.5 - distance * size / 2, 0, 1)
