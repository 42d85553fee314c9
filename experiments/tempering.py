"""How sure a classifier may be: the temperature that its logits are divided by."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

#: Logarithms between which a temperature is looked for.
_BOUNDS = (-3.0, 7.0)


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Finds the temperature with the least negative log-likelihood.

    Guo et al. 2017, "On calibration of modern neural networks" (arXiv 1706.04599), section 4.2.

    Args:
      logits: [N, C], or logarithms of probabilities, on examples that they were not fitted to.
      labels: int [N].

    Returns:
      What logits are to be divided by.
    """

    def loss(logarithm: float) -> float:
        spoken = log_softmax(logits.astype(np.float64) / np.exp(logarithm), axis=-1)
        return -float(spoken[np.arange(len(labels)), labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=_BOUNDS, method="bounded").x))  # pyright: ignore[reportAttributeAccessIssue]
