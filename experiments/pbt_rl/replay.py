"""What an agent remembers: a ring of the last frames, from which it draws transitions of several steps.

Each row holds one step of all environments. A row is `last` where an episode ended before it: nothing was done there,
and the next row begins another episode (the convention of dm_env). So no step of any environment is lost, and no row
needs the observation after it twice. T is the number of rows, E that of environments, (S, S, C) the shape of a frame, F
frames make an observation, A is the number of entries of an action, B that of transitions, n that of steps in one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Rows(NamedTuple):
    """What is remembered of steps, each of [..., E] environments.

    frames: uint8 [..., S, S, C], the newest frame that was seen.
    ages: int32, steps since the episode began, 0 for its first.
    actions: float32 [..., A], what was done then.
    rewards: float32, what came of it.
    done: bool, whether nothing follows.
    last: bool, whether the episode had ended before, so that nothing was done.
    """

    frames: jax.Array
    ages: jax.Array
    actions: jax.Array
    rewards: jax.Array
    done: jax.Array
    last: jax.Array


class Buffer(NamedTuple):
    """A ring of rows.

    rows: [T, E, ...].
    added: int32, how many rows were ever added.
    """

    rows: Rows
    added: jax.Array


class Transitions(NamedTuple):
    """What an agent learns from.

    observations, following: uint8 [B, S, S, F * C], before and n steps after.
    actions: float32 [B, A], of the first step.
    returns: float32 [B], rewards of the n steps, discounted.
    discounts: float32 [B], what the value after them is multiplied by.
    """

    observations: jax.Array
    actions: jax.Array
    returns: jax.Array
    discounts: jax.Array
    following: jax.Array


def empty(rows: int, environments: int, frame: tuple[int, int, int], actions: int) -> Buffer:
    """Returns a ring of T rows for E environments that holds nothing."""
    shape = (rows, environments)
    return Buffer(
        Rows(
            jnp.zeros((*shape, *frame), jnp.uint8), jnp.zeros(shape, jnp.int32), jnp.zeros((*shape, actions)),
            jnp.zeros(shape), jnp.zeros(shape, bool), jnp.zeros(shape, bool),
        ),
        jnp.int32(0),
    )  # fmt: skip


def add(buffer: Buffer, rows: Rows) -> Buffer:
    """Adds a row [E, ...]; it takes the place of the oldest where the ring is full."""
    place = buffer.added % len(buffer.rows.last)
    put = jax.tree.map(lambda ring, row: jax.lax.dynamic_update_index_in_dim(ring, row, place, 0), buffer.rows, rows)
    return Buffer(put, buffer.added + 1)


def startable(buffer: Buffer, stack: int, steps: int) -> jax.Array:
    """Returns which rows a transition can begin at, bool [T, E], the oldest row first.

    As published: n whole steps of one episode. A row whose first frames are gone from the ring is none.

    Args:
      buffer: the ring.
      stack: F.
      steps: n.
    """
    capacity = len(buffer.rows.last)
    held = jnp.minimum(buffer.added, capacity)
    age = jnp.arange(capacity)[:, None]
    ordered = jnp.roll(buffer.rows.last, -_oldest(buffer), axis=0)
    begun = jnp.roll(buffer.rows.ages, -_oldest(buffer), axis=0)
    ends = jnp.zeros_like(ordered)
    for step in range(steps):
        ends = ends | jnp.roll(ordered, -step, axis=0)
    return ~ends & (age + steps < held) & (age >= jnp.minimum(begun, stack - 1))


def sample(
    key: jax.Array, buffer: Buffer, count: int, *, stack: int, steps: int, discount: float
) -> Transitions:  # fmt: skip
    """Draws transitions, each that there is equally often.

    Args:
      key: a key.
      buffer: a ring with at least one row that a transition can begin at.
      count: B.
      stack: F.
      steps: n.
      discount: of a step, in [0, 1].
    """
    capacity, environments = buffer.rows.last.shape
    places = jnp.cumsum(startable(buffer, stack, steps).reshape(-1).astype(jnp.int32))
    which = jax.random.randint(key, (count,), 0, jnp.maximum(places[-1], 1))
    found = jnp.searchsorted(places, which, side="right")
    row, column = (_oldest(buffer) + found // environments) % capacity, found % environments

    def at(leaf: jax.Array, later: int | jax.Array) -> jax.Array:
        return leaf[(row + later) % capacity, column]

    def observed(later: int) -> jax.Array:
        age = at(buffer.rows.ages, later)
        return jnp.concatenate(
            [at(buffer.rows.frames, later - jnp.minimum(back, age)) for back in reversed(range(stack))], axis=-1
        )

    returns, left = jnp.zeros(count), jnp.ones(count)
    for step in range(steps):
        returns = returns + left * at(buffer.rows.rewards, step)
        left = left * discount * ~at(buffer.rows.done, step)
    return Transitions(observed(0), at(buffer.rows.actions, 0), returns, left, observed(steps))


def _oldest(buffer: Buffer) -> jax.Array:
    """Returns where the oldest row lies."""
    capacity = len(buffer.rows.last)
    return jnp.where(buffer.added > capacity, buffer.added % capacity, 0)
