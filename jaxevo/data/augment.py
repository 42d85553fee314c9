"""Random changes of training pictures, to be traced into a training step; maps of labels move along."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

Change = Callable[[jax.Array, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Augment:
    """A random change of pictures, called as `augment(key, inputs) -> inputs`.

    pictures: `(key, inputs) -> inputs`, pictures [B, height, width, channels].
    maps: `(key, labels) -> labels`, what the same key does to maps of labels [B, height, width, ...]: moves them with
      the pictures, or returns them as they are where pixels keep their places.
    name: by which a run that is continued knows it, with its settings.
    """

    pictures: Change
    maps: Change
    name: str = "own"

    def __call__(self, key: jax.Array, inputs: jax.Array) -> jax.Array:
        """Changes the pictures of a batch."""
        return self.pictures(key, inputs)


def shift(pixels: int) -> Augment:
    """Returns an augmentation that moves each picture by up to `pixels` along both axes, edges repeated.

    Args:
      pixels: the largest shift, at least 0; drawn uniformly for each picture.

    Raises:
      ValueError: where `pixels` is negative or no whole number.
    """
    if isinstance(pixels, bool) or not isinstance(pixels, int) or pixels < 0:
        raise ValueError(f"shift: pixels is {pixels!r}, expected a whole number of at least 0")

    def move(key, inputs):
        padding = [(0, 0), (pixels, pixels), (pixels, pixels)] + [(0, 0)] * (inputs.ndim - 3)
        padded = jnp.pad(inputs, padding, mode="edge")
        starts = jax.random.randint(key, (len(inputs), 2), 0, 2 * pixels + 1)

        def crop(picture, start):
            return jax.lax.dynamic_slice(picture, (*start, *[0] * (inputs.ndim - 3)), inputs.shape[1:])

        return jax.vmap(crop)(padded, starts)

    return Augment(move, move, f"shift({pixels})")


def flip() -> Augment:
    """Returns an augmentation that mirrors each picture left to right with probability one half."""

    def mirror(key, inputs):
        mirrored = jax.random.bernoulli(key, shape=(len(inputs),))
        return jnp.where(mirrored.reshape(-1, *[1] * (inputs.ndim - 1)), inputs[:, :, ::-1], inputs)

    return Augment(mirror, mirror, "flip()")


def chain(*augments: Augment) -> Augment:
    """Returns the augmentations one after another, the i-th with `fold_in(key, i)`.

    Args:
      *augments: each an `Augment`; make one of a function of your own with `Augment(pictures, maps)`.

    Raises:
      TypeError: where one is no `Augment`.
    """
    for one in augments:
        if not isinstance(one, Augment):
            raise TypeError(
                f"chain: {one!r} is no Augment; write Augment(function, maps) and say in maps what becomes of maps of "
                "labels"
            )

    def after_another(changes: list[Change]) -> Change:
        def change(key, inputs):
            for index, one in enumerate(changes):
                inputs = one(jax.random.fold_in(key, index), inputs)
            return inputs

        return change

    name = f"chain({', '.join(one.name for one in augments)})"
    return Augment(
        after_another([one.pictures for one in augments]), after_another([one.maps for one in augments]), name
    )
