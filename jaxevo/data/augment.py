"""Random changes of training pictures, `augment(key, inputs) -> inputs`, to be traced into a training step."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Augment = Callable[[jax.Array, jax.Array], jax.Array]


def shift(pixels: int) -> Augment:
    """Returns an augmentation that moves each picture by up to `pixels` along both axes, edges repeated.

    Args:
      pixels: the largest shift, at least 0; drawn uniformly for each picture.

    Raises:
      ValueError: where `pixels` is negative or no whole number.
    """
    if isinstance(pixels, bool) or not isinstance(pixels, int) or pixels < 0:
        raise ValueError(f"shift: pixels is {pixels!r}, expected a whole number of at least 0")

    def augment(key, inputs):
        padded = jnp.pad(inputs, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)), mode="edge")
        starts = jax.random.randint(key, (len(inputs), 2), 0, 2 * pixels + 1)

        def crop(picture, start):
            return jax.lax.dynamic_slice(picture, (start[0], start[1], 0), inputs.shape[1:])

        return jax.vmap(crop)(padded, starts)

    return augment


def flip() -> Augment:
    """Returns an augmentation that mirrors each picture left to right with probability one half."""

    def augment(key, inputs):
        mirrored = jax.random.bernoulli(key, shape=(len(inputs), 1, 1, 1))
        return jnp.where(mirrored, inputs[:, :, ::-1], inputs)

    return augment


def chain(*augments: Augment) -> Augment:
    """Returns the augmentations one after another, the i-th with `fold_in(key, i)`."""

    def augment(key, inputs):
        for index, one in enumerate(augments):
            inputs = one(jax.random.fold_in(key, index), inputs)
        return inputs

    return augment
