"""`report`: accuracy, calibration and diversity of an ensemble in one table of numbers. M is the number of members."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.ensemble.diversity import disagreement, mean_over_pairs, pairwise_kl, q_statistic
from jaxevo.ensemble.predictions import check_finite, check_predictions
from jaxevo.evaluation.calibration import ece
from jaxevo.evaluation.metrics import Metric, accuracy, brier, nll


def report(probabilities: Any, labels: Any, bins: int = 15) -> dict[str, dict[str, float]]:
    """Reports how good, how calibrated and how diverse an ensemble is.

    Args:
      probabilities: what the M members say, [M, N, ..., C], in [0, 1]; a member that is given twice votes twice.
      labels: whole numbers [N, ...] in [0, C); -1 in maps where nothing counts.
      bins: of the expected calibration error.

    Returns:
      Under "vote" accuracy, nll, ece and brier of the soft vote, under "members" their means over members, and, with 2
      members or more, under "diversity" the means over pairs of disagreement, q_statistic and pairwise_kl.

    Raises:
      ValueError: where probabilities or labels are not as described, or probabilities not finite.
    """
    probabilities, labels = check_predictions("report", probabilities, labels)
    check_finite("report", probabilities)
    metrics = {"accuracy": accuracy, "nll": nll, "ece": ece(bins), "brier": brier}
    everyone = np.concatenate([probabilities.mean(axis=0)[None], probabilities])
    scores = _scores(tuple(metrics.values()), everyone, labels)
    found = {
        "vote": dict(zip(metrics, scores[0].tolist(), strict=True)),
        "members": dict(zip(metrics, scores[1:].mean(axis=0).tolist(), strict=True)),
    }
    if len(probabilities) > 1:
        found["diversity"] = {
            "disagreement": mean_over_pairs(disagreement(probabilities)),
            "q_statistic": mean_over_pairs(q_statistic(probabilities, labels)),
            "pairwise_kl": mean_over_pairs(pairwise_kl(probabilities)),
        }
    return found


def _scores(metrics: tuple[Metric, ...], said: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the scores [members, metrics] of members that said [members, P, C]."""

    def one(probabilities, labels):
        logs = jnp.log(jnp.maximum(probabilities, jnp.finfo(jnp.float32).tiny))
        mask = jnp.ones(len(labels), bool)
        return jnp.stack([m.finish(m.update(m.init(), logs, labels, mask)) for m in metrics])  # type: ignore

    scored = jax.jit(jax.vmap(one, in_axes=(0, None)))(said.astype(np.float32), labels)
    return np.asarray(scored, np.float64)
