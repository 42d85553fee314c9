"""`ece`: whether networks are right as often as their confidence says."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxevo.checks import check_size
from jaxevo.data import counted
from jaxevo.evaluation.metrics import Metric


class Reliability(NamedTuple):
    """State of `ece`: sums over the answers of each bin of confidence, [bins].

    count: how many answers, int32.
    right: how many of them are right, int32.
    confidence: sum of their confidences, float32.
    """

    count: jax.Array
    right: jax.Array
    confidence: jax.Array


def ece(bins: int = 15) -> Metric:
    """Returns the expected calibration error: how far confidence and accuracy lie apart, averaged over bins.

    Naeini, Cooper and Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian binning"; Guo et al.
    2017, "On calibration of modern neural networks" (arXiv 1706.04599), equation 3, with its default of 15 bins. An
    answer is confident by its largest probability; bins of equal width cover (0, 1], each closed above. The error is a
    sum over bins of sums over examples, so that batches may come in any order; that over a part of the examples is no
    mean of those over its parts.

    Args:
      bins: how many bins, at least 1.

    Returns:
      The metric, named "ece", with other than 15 bins also after their number, in [0, 1], smaller is better; in a
      fitness, write `-ece()`.

    Raises:
      ValueError: where bins is no such number.
    """
    check_size("ece", "bins", bins)

    def update(state, logits, labels, mask):
        counts = counted(labels, mask).reshape(-1)
        confidence = jax.nn.softmax(logits, axis=-1).max(axis=-1).reshape(-1)
        right = (jnp.argmax(logits, axis=-1) == labels).reshape(-1)
        # `where`, never a product: a padded example may score NaN.
        confidence = jnp.where(counts, confidence, 0)
        bin_of = jnp.clip(jnp.ceil(confidence * bins).astype(jnp.int32) - 1, 0, bins - 1)
        return Reliability(
            state.count.at[bin_of].add(counts.astype(jnp.int32)),
            state.right.at[bin_of].add((counts & right).astype(jnp.int32)),
            state.confidence.at[bin_of].add(confidence),
        )

    def finish(state):
        gaps = jnp.abs(state.right.astype(jnp.float32) - state.confidence)
        return gaps.sum() / state.count.sum().astype(jnp.float32)

    return Metric(
        "ece" if bins == 15 else f"ece_{bins}",
        False,
        "outputs",
        init=lambda: Reliability(jnp.zeros(bins, jnp.int32), jnp.zeros(bins, jnp.int32), jnp.zeros(bins)),
        update=update,
        finish=finish,
    )
