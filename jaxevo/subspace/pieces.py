"""Children made piece by piece: what a mutation changes in some leaves of a network alone.

L is the number of leaves that are mutated, T that of mutations in a genome.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.subspace.children import Mutation, values
from jaxevo.subspace.choosing import Chosen, add
from jaxevo.subspace.masks import Base, Masks

#: A mutation as numbers of fixed dtype, hashable and traceable: two halves of its key, subspace, sign and sigma.
Term = tuple[np.uint32, np.uint32, np.int32, np.int32, np.float32]

#: Added to coordinates that lie in other leaves: past the end of any.
_ELSEWHERE = 2**30


def terms_of(genome: Mutation) -> tuple[Term, ...]:
    """Takes a genome apart into its T mutations."""
    noise = np.asarray(genome.noise, np.uint32)
    columns = (noise[:, 0], noise[:, 1], np.asarray(genome.subspace, np.int32), np.asarray(genome.sign, np.int32))
    return tuple(zip(*columns, np.asarray(genome.sigma, np.float32), strict=True))


def mutation_of(term: Term) -> Mutation:
    """Returns the mutation that numbers stand for; may be traced."""
    return Mutation(jnp.stack(term[:2]), *term[2:])


class Drawn(NamedTuple):
    """What T mutations add.

    coordinates: where, int32 [T, M]; all different in each row, N and more in slots that a mask leaves empty.
    values: what, [T, M].
    """

    coordinates: jax.Array
    values: jax.Array


def draw(masks: Masks, base: Base, variant: tuple[Term, ...]) -> Drawn:
    """Draws the masks of some mutations and the noise inside; pure and traceable.

    Args:
      masks: the masks of the space.
      base: the space's parameters, of which those of the network are not read.
      variant: the mutations.
    """

    def one(term):
        coordinates = masks.of(base, jax.random.wrap_key_data(term.noise), term.subspace).coordinates
        return Drawn(coordinates, values(base, masks, coordinates, term))

    terms = [mutation_of(term) for term in variant]
    if len(terms) == 1:
        return jax.tree.map(lambda leaf: leaf[None], one(terms[0]))
    return jax.lax.map(one, jax.tree.map(lambda *leaves: jnp.stack(leaves), *terms))


def changed(chosen: Chosen, mine: list[int], leaves: list[jax.Array], drawn: Drawn) -> list[jax.Array]:
    """Adds mutations to a few leaves of a network; pure and traceable.

    Args:
      chosen: the mutated parameters.
      mine: which of the L leaves these are, in order.
      leaves: the leaves.
      drawn: what is added.
    """
    if not leaves:
        return []
    moves = shifts(chosen, mine)
    for coordinates, added in zip(*drawn, strict=True):
        leaves = add(leaves, chosen.dtype, coordinates + moves[chosen.leaf_of(coordinates)], added)
    return leaves


def shifts(chosen: Chosen, mine: list[int]) -> jax.Array:
    """Returns what leads from a coordinate in each leaf to one in the leaves `mine` alone, int32 [L]."""
    found, start = np.full(len(chosen.leaves), _ELSEWHERE, np.int32), 0
    for leaf in mine:
        found[leaf] = start - chosen.offsets[leaf]
        start += chosen.sizes[leaf]
    return jnp.asarray(found)
