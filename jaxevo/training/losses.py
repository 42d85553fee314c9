"""Losses: scalars that a gradient descends, `(outputs, labels, mask) -> scalar`.

Outputs are logits [B, classes], or maps of them [B, ..., classes] with a label for each position, or values. What does
not count, padded examples and positions labelled -1, has no gradient.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxevo.data import check_classes, check_values, counted

Loss = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


def cross_entropy(outputs: jax.Array, labels: jax.Array, mask: jax.Array, smoothing: float = 0.0) -> jax.Array:
    """Mean cross-entropy of logits over the examples, or over the positions of maps, that count.

    Args:
      outputs: logits [B, classes] or [B, ..., classes].
      labels: integers [B] or [B, ...]; -1 counts nowhere.
      mask: [B] bool, which examples count.
      smoothing: share of each label spread evenly over all classes, in [0, 1); set it with `functools.partial`.

    Returns:
      Scalar, in nats; 0 where nothing counts.

    Raises:
      ValueError: where labels are no classes for such outputs.
    """
    check_classes("cross_entropy: labels", labels, outputs.shape)
    targets = optax.smooth_labels(jax.nn.one_hot(labels, outputs.shape[-1]), smoothing)
    return mean_of(optax.softmax_cross_entropy(outputs.astype(jnp.float32), targets), counted(labels, mask))


def squared_error(outputs: jax.Array, labels: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean squared difference between values and labels over the examples that count.

    Args:
      outputs: values [B, ...].
      labels: floating numbers of the same shape; [B] also fits outputs [B, 1].
      mask: [B] bool, which examples count.

    Returns:
      Scalar; 0 where nothing counts.

    Raises:
      ValueError: where labels are no values of such a shape.
    """
    check_values("squared_error: labels", labels, outputs.shape)
    # Without this, [B] against [B, 1] would spread to [B, B].
    labels = labels.reshape(outputs.shape)
    return mean_of(jnp.square(outputs.astype(jnp.float32) - labels), counted(labels, mask))


def wants_classes(loss: Loss) -> bool:
    """Returns whether a loss is `cross_entropy`, of whose labels something is known: which classes there are."""
    return getattr(loss, "func", loss) is cross_entropy


def mean_of(values: jax.Array, counts: jax.Array) -> jax.Array:
    """Returns the mean of the values that count, 0 where none does."""
    return jnp.where(counts, values, 0.0).sum() / jnp.maximum(counts.sum(), 1)
