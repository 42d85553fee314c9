"""Genomes of bits in groups: drawn at densities of their own, crossed, mutated.

No group is without an active bit, and no genome without an inactive one.

n is the number of genomes, G that of bits.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.network import check_key
from jaxevo.search.strategy import check_count


def sample_bits(groups: Sequence[int], key: jax.Array, n: int) -> jax.Array:
    """Draws genomes, each at a density drawn from U(0, 1), as published (arXiv 2302.10253).

    Args:
      groups: number of bits of each group.
      key: a key.
      n: how many.

    Returns:
      bool [n, G].
    """
    density_key, bit_key, one_key = jax.random.split(check_key("sample", key), 3)
    check_count("sample", "n", n, 1)
    density = jax.random.uniform(density_key, (n, 1))
    bits = jax.random.uniform(bit_key, (n, sum(groups))) < density
    return jax.vmap(lambda key, row: _repaired(groups, key, row))(jax.random.split(one_key, n), bits)


def vary_bits(groups: Sequence[int], mutation: float, key: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """Crosses pairs of genomes uniformly, and flips each bit with a probability, at least one where nothing changed.

    A flip that would leave a group without an active bit, or the genome without an inactive one, is undone.

    Args:
      groups: as in `sample_bits`.
      mutation: the probability, in [0, 1].
      key: a key.
      a, b: bool [n, G].

    Returns:
      bool [n, G].
    """

    def one(key, a, b):
        cross_key, flip_key, one_key, repair_key = jax.random.split(key, 4)
        child = jnp.where(jax.random.bernoulli(cross_key, 0.5, a.shape), a, b)
        child ^= jax.random.bernoulli(flip_key, mutation, a.shape)
        same = (child == a).all() | (child == b).all()
        place = jax.random.randint(one_key, (), 0, len(a))
        return _repaired(groups, repair_key, child.at[place].set(child[place] ^ same))

    a, b = jnp.asarray(a), jnp.asarray(b)
    return jax.vmap(one)(jax.random.split(check_key("vary", key), len(a)), a, b)


def _repaired(groups: Sequence[int], key: jax.Array, bits: jax.Array) -> jax.Array:
    """Makes one bit [G] active in every group that has none, and one of the largest group inactive where all are."""
    keys, parts = jax.random.split(key, len(groups)), jnp.split(bits, np.cumsum(groups)[:-1])
    whole, largest = bits.all(), int(np.argmax(groups))
    repaired = []
    for index, (one, part) in enumerate(zip(keys, parts, strict=True)):
        place = jax.random.randint(one, (), 0, len(part))
        kept = part[place] & ~whole if index == largest and len(part) > 1 else part[place]
        repaired.append(part.at[place].set(kept | ~part.any()))
    return jnp.concatenate(repaired)
