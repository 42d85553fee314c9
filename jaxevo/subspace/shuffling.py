"""Random permutations that are computed place by place, so that a mask costs as much as it holds.

Shuffling all coordinates of a network to read one mask of them would cost a sort of the network. Here a place is
enciphered instead: a Feistel network over pairs (row, column) of a rectangle that just holds all places, walked on
wherever it leads outside (Black and Rogaway 2002, "Ciphers with arbitrary finite domains", sections 4 and 5).
"""

import math

import jax
import jax.numpy as jnp

#: Turns of the Feistel network, each of which moves rows and columns; Luby and Rackoff 1988 need two.
_TURNS = 4


def shuffle(key: jax.Array, places: jax.Array, size: int) -> jax.Array:
    """Returns where a random permutation of `size` elements takes some places.

    Args:
      key: the key of the permutation.
      places: int32 [m], each in [0, size).
      size: number of elements, static, at least 1 and below 2**30.

    Returns:
      int32 [m], each in [0, size); different places lead to different ones.
    """
    rows = math.isqrt(size - 1) + 1
    columns = -(-size // rows)
    keys = jax.random.bits(key, (_TURNS, 2), jnp.uint32)

    def encipher(place):
        row = place // columns
        column = place - row * columns
        for turn in range(_TURNS):
            row = _turned(row, _mix(column ^ keys[turn, 0]), rows)
            column = _turned(column, _mix(row ^ keys[turn, 1]), columns)
        return row * columns + column

    def walk(place):
        return jnp.where(place >= size, encipher(place), place)

    walked = jax.lax.while_loop(lambda place: jnp.any(place >= size), walk, encipher(places.astype(jnp.uint32)))
    return walked.astype(jnp.int32)


def _turned(number: jax.Array, bits: jax.Array, size: int) -> jax.Array:
    """Returns a number below `size` turned on by random bits, modulo `size`; without a division, which is slow."""
    turned = number + ((bits >> 16) * jnp.uint32(size) >> 16)
    return jnp.where(turned >= size, turned - jnp.uint32(size), turned)


def _mix(bits: jax.Array) -> jax.Array:
    """Returns 32 bits that each depend on all bits; the finaliser of MurmurHash3 (Appleby, public domain)."""
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x85EBCA6B)
    bits = (bits ^ (bits >> 13)) * jnp.uint32(0xC2B2AE35)
    return bits ^ (bits >> 16)
