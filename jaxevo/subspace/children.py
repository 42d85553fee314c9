"""Children made from their genomes: noise drawn inside a mask and added to the parent's parameters.

T is the number of mutations that a genome adds up, K that of subspaces, M that of slots of a mask.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxevo.subspace.choosing import scatter
from jaxevo.subspace.masks import Base, Masks

PyTree = Any


class Mutation(NamedTuple):
    """A sum of T sparse mutations, described but not stored.

    noise: data of a threefry key, uint32 [T, 2]; K children share it, and mask j draws with `fold_in(noise, j)`.
    subspace: index of the mask, int32 [T], in [0, K); with masks at a density any number of at least 0.
    sign: 1 or -1, the two halves of an antithetic pair; 0 where there is no mutation: int32 [T].
    sigma: standard deviation of the noise, float32 [T]; a value like any other, so that another one compiles nothing.
    """

    noise: Any
    subspace: Any
    sign: Any
    sigma: Any


def values(base: Base, masks: Masks, coordinates: jax.Array, term: Mutation) -> jax.Array:
    """Returns what one mutation adds at the coordinates of its mask, [M]."""
    noise = masks.draw(jax.random.wrap_key_data(term.noise), term.subspace)
    size = term.sign.astype(jnp.float32) * term.sigma
    return noise * (size if isinstance(base.scale, tuple) else size * base.scale[masks.chosen.leaf_of(coordinates)])


@dataclasses.dataclass(frozen=True, eq=False)
class Mutated:
    """Makes the parameters of children; pure and traceable.

    masks: the masks of the space.
    """

    masks: Masks

    def __call__(self, base: Base, genome: Mutation) -> PyTree:
        """Returns parameters like the parent's, from the space's parameters and one genome."""
        chosen = self.masks.chosen

        def add(flat, term):
            coordinates = self.masks.of(base, jax.random.wrap_key_data(term.noise), term.subspace).coordinates
            return scatter(flat, coordinates, values(base, self.masks, coordinates, term)), None

        if len(genome.sign) == 1:
            flat, _ = add(base.flat, jax.tree.map(lambda leaf: leaf[0], genome))
        else:
            flat, _ = jax.lax.scan(add, base.flat, genome)
        return chosen.unflatten(base.params, flat)
