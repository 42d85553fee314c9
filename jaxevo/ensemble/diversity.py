"""How far members of an ensemble differ: what a vote can gain from.

M is the number of members, N that of examples, C that of classes, P that of answers that count: examples, or positions
of maps. Every measure is a matrix [M, M] over pairs; `mean_over_pairs` makes one number of it.
"""

from typing import Any

import numpy as np

from jaxevo.checks import as_numbers
from jaxevo.ensemble.predictions import check_finite, check_predictions, check_probabilities, positions


def disagreement(probabilities: Any) -> np.ndarray:
    """Measures on which share of the examples two members name different classes.

    Fort, Hu and Lakshminarayanan 2019, "Deep ensembles: a loss landscape perspective" (arXiv 1912.02757), section 4.

    Args:
      probabilities: what the M members say, [M, N, ..., C], in [0, 1].

    Returns:
      [M, M], symmetric, in [0, 1], zeros on the diagonal.

    Raises:
      ValueError: where the probabilities are not as described or not finite.
    """
    probabilities = check_probabilities("disagreement", probabilities)
    check_finite("disagreement", probabilities)
    said = positions(probabilities).argmax(axis=-1)
    return np.stack([(said != one).mean(axis=1) for one in said])


def q_statistic(probabilities: Any, labels: Any) -> np.ndarray:
    """Measures whether two members are right on the same examples: Yule's Q.

    `(N11 N00 - N01 N10) / (N11 N00 + N01 N10)` over the counts of examples on which both, neither, or one of them is
    right. Yule 1900, "On the association of attributes in statistics"; Kuncheva and Whitaker 2003, "Measures of
    diversity in classifier ensembles and their relationship with the ensemble accuracy", Machine Learning 51, eq. 1.

    Args:
      probabilities: what the M members say, [M, N, ..., C], in [0, 1].
      labels: whole numbers [N, ...] in [0, C); -1 in maps where nothing counts.

    Returns:
      [M, M], symmetric, in [-1, 1]: 0 for independent members, below for members right on different examples. NaN where
      the counts leave it undefined, as where one member is always right.

    Raises:
      ValueError: where probabilities or labels are not as described, or probabilities not finite.
    """
    probabilities, labels = check_predictions("q_statistic", probabilities, labels)
    check_finite("q_statistic", probabilities)
    right = (probabilities.argmax(axis=-1) == labels).astype(np.float64)
    both, neither = right @ right.T, (1 - right) @ (1 - right).T
    first, second = right @ (1 - right).T, (1 - right) @ right.T
    same, different = both * neither, first * second
    total = same + different
    return np.where(total > 0, (same - different) / np.where(total > 0, total, 1), np.nan)


def pairwise_kl(probabilities: Any) -> np.ndarray:
    """Measures how far the probabilities of two members lie apart: the mean Kullback-Leibler divergence in nats.

    Kullback and Leibler 1951, "On information and sufficiency"; between members of an ensemble as in Fort et al. 2019
    (arXiv 1912.02757), section 4.

    Args:
      probabilities: what the M members say, [M, N, ..., C], in [0, 1].

    Returns:
      [M, M], at least 0; entry i, j is the mean over examples of `sum_c p_i log(p_i / p_j)`, not symmetric, where
      probabilities below 1e-38 count as 1e-38.

    Raises:
      ValueError: where the probabilities are not as described or not finite.
    """
    probabilities = check_probabilities("pairwise_kl", probabilities)
    check_finite("pairwise_kl", probabilities)
    said = positions(probabilities).astype(np.float64)
    logs = np.log(np.maximum(said, 1e-38))
    count, said, logs = said.shape[1], said.reshape(len(said), -1), logs.reshape(len(said), -1)
    crossed = said @ logs.T
    # Rounding may leave a little below 0.
    return np.maximum(np.diag(crossed)[:, None] - crossed, 0) / count


def mean_over_pairs(matrix: Any) -> float:
    """Returns the mean [] of a matrix [M, M] over pairs of different members, without those that are NaN.

    Raises:
      ValueError: where it is no square matrix of at least 2 members.
    """
    matrix = as_numbers("mean_over_pairs", "matrix", matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise ValueError(f"mean_over_pairs: matrix is {list(matrix.shape)}, expected [M, M] with M at least 2")
    pairs = matrix[~np.eye(len(matrix), dtype=bool)]
    defined = pairs[~np.isnan(pairs)]
    return float(defined.mean()) if len(defined) else float("nan")
