"""What a measure of architectures says about gains: correlations, the choice of a teacher, the warning of harm.

P is the number of pairs of a teacher and a student.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

#: How sure the intervals are, and of how many samples.
CONFIDENCE, SAMPLES = 0.95, 10_000
#: Students with fewer teachers are left out where teachers of one student are compared.
FEWEST = 3


class Pairs(NamedTuple):
    """Pairs of architectures and what transfer gained.

    teachers, students: names, P of each.
    gain: accuracy with transfer over that without, [P].
    """

    teachers: tuple[str, ...]
    students: tuple[str, ...]
    gain: np.ndarray


class Estimate(NamedTuple):
    """A figure with its bootstrap interval.

    value: the figure.
    low, high: percentiles over samples of the pairs with replacement.
    """

    value: float
    low: float
    high: float


def spearman(measure: np.ndarray, gain: np.ndarray) -> float:
    """Returns the rank correlation."""
    return pearson(stats.rankdata(measure), stats.rankdata(gain))


def pearson(measure: np.ndarray, gain: np.ndarray) -> float:
    """Returns the linear correlation; 0 where one of the two does not vary."""
    one, other = measure - measure.mean(), gain - gain.mean()
    scale = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / scale) if scale > 0 else 0.0


def bootstrap(
    statistic: Callable[[np.ndarray, np.ndarray], float], measure: np.ndarray, gain: np.ndarray, seed: int = 0
) -> Estimate:
    """Returns a statistic of measure and gain, [P] each, with its interval over samples of pairs."""
    rng, count = np.random.default_rng(seed), len(gain)
    rows = rng.integers(count, size=(SAMPLES, count))
    values = [statistic(measure[row], gain[row]) for row in rows]
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(values, (tail, 100 - tail))
    return Estimate(statistic(measure, gain), float(low), float(high))


def within_students(pairs: Pairs, measure: np.ndarray) -> float:
    """Returns the mean over students of the rank correlation among their teachers."""
    return float(np.mean([spearman(measure[rows], pairs.gain[rows]) for rows in by_student(pairs)]))


def chosen_gain(pairs: Pairs, measure: np.ndarray) -> float:
    """Returns the mean over students of what the teacher gains that has the greatest measure, over the best one."""
    return float(
        np.mean([pairs.gain[rows][measure[rows].argmax()] / pairs.gain[rows].max() for rows in by_student(pairs)])
    )


def warning_area(measure: np.ndarray, gain: np.ndarray) -> float:
    """Returns the area under the receiver's curve of a measure that tells gain (above 1) from harm (below 1)."""
    better, worse = measure[gain > 1], measure[gain < 1]
    if not len(better) or not len(worse):
        return float("nan")
    statistic = stats.mannwhitneyu(better, worse).statistic
    return float(statistic / (len(better) * len(worse)))


def by_student(pairs: Pairs) -> Sequence[np.ndarray]:
    """Returns the indices of the pairs of each student that has enough teachers."""
    names = np.array(pairs.students)
    rows = [np.flatnonzero(names == name) for name in dict.fromkeys(pairs.students)]
    return [row for row in rows if len(row) >= FEWEST]


def summary(pairs: Pairs, measure: np.ndarray) -> dict[str, Estimate | float]:
    """Returns all figures of one measure, [P]."""
    return {
        "spearman": bootstrap(spearman, measure, pairs.gain),
        "pearson": bootstrap(pearson, measure, pairs.gain),
        "within_students": within_students(pairs, measure),
        "chosen_gain": chosen_gain(pairs, measure),
        "warning_area": warning_area(measure, pairs.gain),
    }
