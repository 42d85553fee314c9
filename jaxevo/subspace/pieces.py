"""Children made piece by piece: what a mutation changes in some leaves of a network alone.

L is the number of leaves that are mutated, T that of mutations in a genome.
"""

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


def changed(
    masks: Masks,
    base: Base,
    variant: tuple[Term, ...],
    mine: list[int],
    own: dict[str, jax.Array],
    paths: tuple[str, ...],
) -> dict[str, jax.Array]:
    """Adds mutations to some leaves of a network, given by path.

    Args:
      masks: the masks of the space.
      base: the space's parameters.
      variant: the mutations.
      mine: which of the mutated leaves are among them.
      own: the leaves.
      paths: path of each leaf of the network.
    """
    chosen = masks.chosen
    names = [paths[chosen.leaves[index]] for index in mine]
    leaves = [own[name] for name in names]
    moves = shifts(chosen, mine)
    for term in map(mutation_of, variant):
        coordinates = masks.of(base, jax.random.wrap_key_data(term.noise), term.subspace).coordinates
        inside = coordinates + moves[chosen.leaf_of(coordinates)]
        leaves = add(leaves, chosen.dtype, inside, values(base, masks, coordinates, term))
    return own | dict(zip(names, leaves, strict=True))


def shifts(chosen: Chosen, mine: list[int]) -> jax.Array:
    """Returns what leads from a coordinate in each leaf to one in the leaves `mine` alone, int32 [L]."""
    found, start = np.full(len(chosen.leaves), _ELSEWHERE, np.int32), 0
    for leaf in mine:
        found[leaf] = start - chosen.offsets[leaf]
        start += chosen.sizes[leaf]
    return jnp.asarray(found)
