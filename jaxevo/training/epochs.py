"""One epoch of training as pure functions: which examples a step sees, one step, all of them in a compiled loop.

N is the number of examples, B that of a step, S that of steps.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxevo.data import Batch, are_maps
from jaxevo.network import Member

Metrics = dict[str, Any]
Update = Callable[[jax.Array, Member, Batch], tuple[Member, Metrics]]
Augmentation = Callable[[jax.Array, jax.Array], jax.Array] | None


class Plan(NamedTuple):
    """Which examples an epoch sees.

    rows: int [S, B], examples of each step.
    masks: bool [S, B], which of them count.
    """

    rows: Any
    masks: Any


def plan(key: jax.Array, count: int, batch: int) -> Plan:
    """Draws the order of an epoch.

    The last step is filled up with examples of the first, which are masked: with zeros, statistics of the batch would
    see rows that are none.

    Args:
      key: a key.
      count: N, at least `batch`.
      batch: B.

    Returns:
      The plan, of S = ceil(N / B) steps.
    """
    order, steps = jax.random.permutation(key, count), -(-count // batch)
    places = jnp.arange(steps * batch)
    return Plan(order[places % count].reshape(steps, batch), (places < count).reshape(steps, batch))


def advance(update: Update, augment: Augmentation, key: jax.Array, member: Member, batch: Any):
    """Takes one step: augments the batch, then updates. Returns the member and its metrics."""
    augment_key, update_key = jax.random.split(key)
    if augment is not None:
        labels = augment.maps(augment_key, batch.labels) if are_maps(batch.labels) else batch.labels  # pyright: ignore[reportFunctionMemberAccess]
        batch = batch._replace(inputs=augment(augment_key, batch.inputs), labels=labels)
    return update(update_key, member, batch)


def scan(update: Update, augment: Augmentation, key: jax.Array, member: Member, inputs, labels, planned: Plan):
    """Takes the steps of an epoch in a compiled loop; step s draws from `fold_in(key, s)`.

    Returns:
      The member, and the metrics of each step, [S].
    """

    def body(member, step):
        index, row, mask = step
        return advance(update, augment, jax.random.fold_in(key, index), member, Batch(inputs[row], labels[row], mask))

    return jax.lax.scan(body, member, (jnp.arange(len(planned.rows)), planned.rows, planned.masks))
