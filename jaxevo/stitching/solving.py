"""Ridge regression of stitches from second moments, and what is done to its outputs afterwards.

`S` and `T` are the channels before and after a stitch.
"""

import numpy as np

from jaxevo.evaluation import Moments

#: No channel is scaled up by more than this when variances are matched; a channel that the source says nothing about
#: would otherwise be all noise.
LARGEST_SCALE = 4.0


def swapped(moments: Moments) -> Moments:
    """Returns the moments of the same two features the other way round."""
    order = np.r_[0, 1 + moments.a : 1 + moments.a + moments.b, 1 : 1 + moments.a]
    return Moments(moments.folds[:, order][:, :, order], moments.b, moments.a)


def solve(total: np.ndarray, source: int, ridges) -> list[tuple[np.ndarray, np.ndarray]]:
    """Solves ridge regression for several ridges; one eigendecomposition serves all of them.

    Args:
      total: sums of products of (1, source, target), [1 + S + T, 1 + S + T].
      source: S.
      ridges: shares of the mean variance of the source's channels.

    Returns:
      Kernel [S, T] and bias [T] for each ridge.
    """
    count, sums = total[0, 0], total[0, 1:]
    covariance = total[1:, 1:] / count - np.outer(sums, sums) / count**2
    x, y = slice(None, source), slice(source, None)
    values, vectors = np.linalg.eigh(covariance[x, x])
    scale = max(np.trace(covariance[x, x]) / source, np.finfo(np.float32).tiny)
    projected = vectors.T @ covariance[x, y]
    found = []
    for ridge in ridges:
        # Rounding leaves the smallest eigenvalues of dead channels below zero.
        kernel = vectors @ (projected / (np.maximum(values, 0) + ridge * scale)[:, None])
        found.append((kernel, (sums[y] - sums[x] @ kernel) / count))
    return found


def choose(moments: Moments, ridges) -> tuple[float, float]:
    """Returns the ridge with the least squared error on held-out folds, and that error over the target's variance."""
    total, errors = moments.folds.sum(0), np.zeros(len(ridges))
    for held in moments.folds:
        for i, (kernel, bias) in enumerate(solve(total - held, moments.a, ridges)):
            weights = np.vstack([bias, kernel, -np.eye(moments.b)])
            errors[i] += np.sum(weights * (held @ weights))
    y = slice(1 + moments.a, None)
    power = np.trace(total[y, y])
    variance = power - np.sum(total[0, y] ** 2) / total[0, 0]
    best = int(np.argmin(errors))
    # A target that is constant up to rounding is fitted by the bias alone.
    floor = max(np.finfo(np.float32).eps * power, np.finfo(np.float32).tiny)
    return float(ridges[best]), float(max(errors[best], 0.0) / max(variance, floor))


def recolour(moments: Moments, kernel: np.ndarray) -> np.ndarray:
    """Moves a stitch half of the way to outputs with the covariance of the feature that it replaces.

    The whole way is the optimal transport map between the two Gaussians, `P^-1/2 (P^1/2 Q P^1/2)^1/2 P^-1/2` with
    covariances P of the outputs and Q of the target (Peyre and Cuturi, arXiv 1803.00567, remark 2.31). It also scales
    up what the source says least about; half of it did better than none and, more often than not, than all of it.
    """
    covariance = moments.covariance()
    x, y = slice(None, moments.a), slice(moments.a, None)
    made = kernel.T @ covariance[x, x] @ kernel
    half, inverse = _power(made, 0.5), _power(made, -0.5)
    transport = inverse @ _power(half @ covariance[y, y] @ half, 0.5) @ inverse
    return kernel @ (np.eye(moments.b) + transport) / 2


def _power(symmetric: np.ndarray, power: float) -> np.ndarray:
    """Raises a covariance to a power; directions with less than a thousandth of the largest variance count as that."""
    values, vectors = np.linalg.eigh(symmetric)
    values = np.maximum(values, max(1e-3 * values[-1], np.finfo(np.float32).tiny))
    return (vectors * values**power) @ vectors.T


def rescale(moments: Moments, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scales each channel of a stitch to the variance of the one that it replaces; its bias gives it the same mean."""
    covariance = moments.covariance()
    x, y = slice(None, moments.a), slice(moments.a, None)
    made = np.einsum("st,su,ut->t", kernel, covariance[x, x], kernel)
    scale = np.sqrt(np.maximum(np.diag(covariance[y, y]), 0) / np.maximum(made, np.finfo(np.float32).tiny))
    kernel = kernel * np.minimum(scale, LARGEST_SCALE)
    total = moments.folds.sum(0)
    mean = total[0, 1:] / total[0, 0]
    return kernel, mean[y] - mean[x] @ kernel
