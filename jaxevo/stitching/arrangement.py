"""Laying one feature out like another, without parameters: axes moved, maps resized, tokens set out as maps and back.

Only channels are then left to be mapped. `S` and `T` are the channels of the source and of the target, `h` and `w` the
height and width of the target's map, `n` its class tokens.
"""

import jax
import jax.numpy as jnp

from jaxevo.graph import Feature
from jaxevo.stitching.joints import alike, picture


def arrange(source: Feature, target: Feature, x: jax.Array) -> jax.Array:
    """Lays a feature out like another; class tokens of either are left out where the two are not alike.

    Maps of different size are resized linearly, with antialiasing where they shrink.

    Args:
      source: the feature that x is a batch of.
      target: the feature whose layout is wanted.
      x: [B, ...] with S channels.

    Returns:
      As a batch of the target without its class tokens, but with S channels.
    """
    assert source.channel is not None
    assert target.channel is not None
    x = jnp.moveaxis(x, source.channel, -1)
    if not alike(source, target):
        x = _resized(_as_map(source, x), picture(target))
        x = x if target.kind == "map" else x.reshape(x.shape[0], -1, x.shape[-1])
    return jnp.moveaxis(x, -1, target.channel)


def shown(source: Feature, target: Feature, x: jax.Array) -> jax.Array:
    """Returns what `arrange` leaves of the target itself: without class tokens where the two are not alike.

    Args:
      source: the feature that is laid out.
      target: the feature that x is a batch of.
      x: [B, ...] with T channels.
    """
    if alike(source, target) or target.grid is None:
        return x
    return jax.lax.slice_in_dim(x, target.grid.tokens.start, target.grid.tokens.stop, axis=_token_axis(target))


def class_tokens(source: Feature, target: Feature) -> int:
    """Returns the number n of class tokens of the target that nothing in the laid-out source stands for."""
    if alike(source, target) or target.grid is None:
        return 0
    return target.space[0] - target.grid.height * target.grid.width


def summary(source: Feature, x: jax.Array) -> jax.Array:
    """Averages a feature over everything but channels, [B, S]: what class tokens are made from."""
    assert source.channel is not None
    return x.mean(tuple(axis for axis in range(1, x.ndim) if axis != source.channel))


def with_class_tokens(target: Feature, x: jax.Array, tokens: jax.Array) -> jax.Array:
    """Puts class tokens back where the target has them.

    Args:
      target: the feature that is made.
      x: a batch of it without class tokens.
      tokens: [B, n, T].
    """
    assert target.grid is not None
    assert target.channel is not None
    tokens = jnp.moveaxis(tokens, -1, target.channel)
    before, after = jnp.split(tokens, [target.grid.first], axis=_token_axis(target))
    return jnp.concatenate([before, x, after], axis=_token_axis(target))


def taken_class_tokens(target: Feature, x: jax.Array) -> jax.Array:
    """Returns the class tokens of a batch of the target, [B, n, T]."""
    assert target.grid is not None
    assert target.channel is not None
    axis = _token_axis(target)
    before, _, after = jnp.split(x, [target.grid.tokens.start, target.grid.tokens.stop], axis=axis)
    return jnp.moveaxis(jnp.concatenate([before, after], axis=axis), target.channel, -1)


def _as_map(source: Feature, x: jax.Array) -> jax.Array:
    """Sets tokens out as the map that they came from, [B, height, width, S]; a map stays what it is."""
    if source.kind == "map":
        return x
    assert source.grid is not None
    return x[:, source.grid.tokens].reshape(x.shape[0], source.grid.height, source.grid.width, x.shape[-1])


def _resized(x: jax.Array, size) -> jax.Array:
    return x if x.shape[1:3] == size else jax.image.resize(x, (x.shape[0], *size, x.shape[-1]), "linear")


def _token_axis(feature: Feature) -> int:
    return 3 - (feature.channel or 0)
