"""Gains of transfer with their intervals.

R is the number of repeats, E that of epochs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

#: How sure the intervals are, and of how many samples.
CONFIDENCE, SAMPLES = 0.95, 4_000


class Gain(NamedTuple):
    """A gain with its bootstrap interval.

    value: the best accuracy in the first epochs over that of random beginnings, mean over repeats each.
    low, high: percentiles over samples of repeats and of examples.
    """

    value: float
    low: float
    high: float


def samples(accuracies: np.ndarray, others: np.ndarray, epochs: int, examples: int, seed: int) -> np.ndarray:
    """Draws gains as they might have come out.

    Args:
      accuracies, others: after each epoch with transfer and without, of the same repeats, [R, E].
      epochs: how many count.
      examples: on which accuracies were measured; each is drawn anew as a share of so many.
      seed: of the samples.

    Returns:
      Gains, [SAMPLES].
    """
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(accuracies), size=(SAMPLES, len(accuracies)))
    means = []
    for one in (accuracies, others):
        best = one[:, :epochs].max(axis=1)[rows]
        means.append((rng.binomial(examples, best) / examples).mean(axis=1))
    return means[0] / np.maximum(means[1], 1 / examples)


def gain(accuracies: np.ndarray, others: np.ndarray, epochs: int, examples: int, seed: int = 0) -> Gain:
    """Returns the gain of one pair; arguments as those of `samples`."""
    drawn = samples(accuracies, others, epochs, examples, seed)
    return Gain(ratio(accuracies, others, epochs), *_interval(drawn))


def ratio(accuracies: np.ndarray, others: np.ndarray, epochs: int) -> float:
    """Returns the best accuracy in the first epochs over that of the others, mean over repeats each."""
    one, other = (array[:, :epochs].max(axis=1).mean() for array in (accuracies, others))
    return float(one / other)


def geometric_mean(pairs: Sequence[tuple[np.ndarray, np.ndarray]], epochs: int, examples: int, seed: int = 0) -> Gain:
    """Returns the geometric mean of the gains of pairs of arrays; the interval is over pairs as well."""
    values = np.log([ratio(one, other, epochs) for one, other in pairs])
    drawn = np.log([samples(*pair, epochs, examples, seed + i) for i, pair in enumerate(pairs)])
    rows = np.random.default_rng(seed).integers(len(pairs), size=(SAMPLES, len(pairs)))
    means = np.exp(drawn[rows, np.arange(SAMPLES)[:, None]].mean(axis=1))
    return Gain(float(np.exp(values.mean())), *_interval(means))


def _interval(drawn: np.ndarray) -> tuple[float, float]:
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(drawn, (tail, 100 - tail))
    return float(low), float(high)
