"""Greedy selection: which of many networks to let vote.

M is the number of candidates, N that of examples, C that of classes, always on the last axis: networks may give one
answer for each example or a map of answers.
"""

from typing import Literal

import numpy as np

from jaxevo.ensemble.predictions import check_predictions
from jaxevo.search.strategy import check_count


def greedy(
    probabilities: np.ndarray, labels: np.ndarray, size: int, metric: Literal["nll", "accuracy"] = "nll"
) -> np.ndarray:
    """Chooses members of an ensemble one after another, each the one that helps the ensemble so far most.

    Forward selection with replacement of Caruana, Niculescu-Mizil, Crew and Ksikes, "Ensemble selection from
    libraries of models", ICML 2004, sections 2 and 2.1: a member that is chosen twice counts twice in the vote.

    Args:
      probabilities: what the M candidates say, [M, N, C], or maps [M, N, ..., C], in [0, 1]. A candidate with a number
        that is not finite is never chosen.
      labels: whole numbers [N] in [0, C), or maps [N, ...], where -1 counts nowhere.
      size: how many to choose, at least 1; may be more than M.
      metric: what the ensemble is judged by on these examples: "nll" (mean negative log-likelihood, smaller is
        better) or "accuracy".

    Returns:
      Indices of the chosen candidates in the order of choice, int [size]; of equal candidates the first.

    Raises:
      TypeError, ValueError: where shapes, labels, size or metric are not as described, or no candidate is finite.
    """
    size = check_count("greedy", "size", size, 1)
    if metric not in ("nll", "accuracy"):
        raise ValueError(f"greedy: metric is {metric!r}, expected 'nll' or 'accuracy'")
    probabilities, labels = check_predictions("greedy", probabilities, labels)
    usable = np.isfinite(probabilities).all(axis=(1, 2))
    if not usable.any():
        raise ValueError("greedy: probabilities hold no candidate that is finite throughout, expected at least one")
    candidates = np.flatnonzero(usable)
    said = probabilities[candidates]
    if metric == "nll":
        # The likelihood reads only what is said about the true class: [M, N] instead of [M, N, C].
        said = np.take_along_axis(said, labels[None, :, None], axis=2)[..., 0]
    score = _likelihoods if metric == "nll" else _accuracies
    total, chosen = np.zeros(said.shape[1:]), []
    for _ in range(size):
        # Argmax takes the first of equals, so that the choice does not depend on the platform.
        best = int(np.argmax(score(total, said, labels)))
        total = total + said[best]
        chosen.append(candidates[best])
    return np.array(chosen)


def _likelihoods(total: np.ndarray, said: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the log-likelihood [M] of the ensemble with each candidate, up to a constant of its size."""
    del labels
    return np.log(np.maximum(total + said, np.finfo(np.float64).tiny)).sum(axis=1)


def _accuracies(total: np.ndarray, said: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns how many examples [M] the ensemble with each candidate gets right."""
    return np.array([(np.argmax(total + one, axis=-1) == labels).sum() for one in said])
