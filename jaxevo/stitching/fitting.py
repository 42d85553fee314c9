"""All stitches fitted in closed form, from one pass over the data.

With both parents frozen, a stitch trained on squared error is linear least squares. Its ridge is chosen for each stitch
by held-out error, since the best one differs by orders of magnitude with the position. What ridge shrinks is scaled
back: the covariance is moved half of the way to that of the feature it replaces, then each channel gets the variance of
the one it replaces, which keeps the layers behind it in the range they know.

`S` and `T` are the channels before and after a stitch, `F` the number of folds.
"""

import dataclasses
import numbers
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxevo.data import Split
from jaxevo.evaluation import Moments, grams
from jaxevo.graph import NetworkGraph, piece
from jaxevo.graph.tracing import check_graph
from jaxevo.network import check_inputs, check_key
from jaxevo.stitching.inputs import adapter
from jaxevo.stitching.matching import candidates
from jaxevo.stitching.stitches import Merged, check_merged

PyTree = Any

#: Ridges that are tried, as shares of the mean variance of the source's channels.
RIDGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)

#: No channel is scaled up by more than this when variances are matched; a channel that the source says nothing about
#: would otherwise be all noise.
LARGEST_SCALE = 4.0


class Fit(NamedTuple):
    """How well a stitch fits.

    name: the stitch.
    ridge: the ridge chosen, a share of the mean variance of the source's channels.
    error: squared error on held-out folds as a share of the target's variance, before variances are matched.
    cka: linear CKA of the two features.
    """

    name: str
    ridge: float
    error: float
    cka: float


def fit(
    key: jax.Array,
    merged: Merged,
    split: Split,
    *,
    batch: int = 64,
    positions: int = 4096,
    folds: int = 4,
    ridges: tuple[float, ...] = RIDGES,
    match_variance: bool = True,
    mesh: Mesh | None = None,
) -> tuple[Merged, tuple[Fit, ...]]:
    """Fits every stitch by ridge regression onto the feature that it replaces.

    Args:
      key: shuffles examples and samples positions.
      merged: the merged network.
      split: training examples; labels are not looked at.
      batch, positions, folds, mesh: as in `evaluation.grams`.
      ridges: those to choose from, shares of the mean variance of the source's channels, above 0.
      match_variance: give the outputs the variances, and half-way the covariance, of the feature that they replace.

    Returns:
      The merged network with fitted stitches, and a `Fit` for each stitch.

    Raises:
      TypeError: where key, merged or split is none.
      ValueError: where ridges are not positive, examples do not fit the parents, or as `evaluation.grams` does.
    """
    check_merged("fit", merged)
    key = check_key("fit", key)
    _check_split("fit", split, merged.parents[0])
    known = isinstance(ridges, tuple | list) and all(isinstance(r, numbers.Real) and 0 < r < np.inf for r in ridges)
    if not known or not ridges:
        raise ValueError(f"fit: ridges is {ridges!r}, expected a tuple of positive shares such as (1e-4, 1e-2)")
    features = _features(merged.parents, [[(p.a, p.b)[s].value for p in merged.pairs] for s in (0, 1)])
    pairs = [(i, len(merged.pairs) + i) for i in range(len(merged.pairs))]
    found = grams(
        key, features, merged.params["parents"], pairs, split, batch=batch, positions=positions, folds=folds, mesh=mesh
    )
    stitches, fits = {}, []
    for stitch in merged.stitches:
        moments = found[stitch.pair] if stitch.source == 0 else _swapped(found[stitch.pair])
        ridge, error = _choose(moments, ridges)
        kernel, bias = _solve(moments.folds.sum(0), moments.a, [ridge])[0]
        if match_variance:
            kernel, bias = _rescale(moments, _recolour(moments, kernel))
        stitches[stitch.name] = {"kernel": jnp.float32(kernel), "bias": jnp.float32(bias)}
        fits.append(Fit(stitch.name, ridge, error, moments.cka()))
    params = {**merged.params, "stitches": stitches}
    return dataclasses.replace(merged, params=params), tuple(fits)


def similarity(
    key: jax.Array,
    a: NetworkGraph,
    b: NetworkGraph,
    split: Split,
    *,
    batch: int = 64,
    positions: int = 4096,
    folds: int = 4,
    mesh: Mesh | None = None,
) -> np.ndarray:
    """Measures linear CKA between all cuts of two networks that could be joined, for `stitching.match`.

    Args:
      key: shuffles examples and samples positions.
      a, b: the two networks.
      split: examples.
      batch, positions, folds, mesh: as in `evaluation.grams`.

    Returns:
      CKA in [0, 1], float64 [M, N]; NaN where two cuts cannot be joined.

    Raises:
      TypeError, ValueError: where a or b is no `NetworkGraph`, or as `fit` does.
    """
    check_graph("similarity", "a", a)
    check_graph("similarity", "b", b)
    _check_split("similarity", split, a)
    pairs = candidates(a, b)
    features = _features((a, b), [[cut.value for cut in graph.cuts] for graph in (a, b)])
    indices = [(i, len(a.cuts) + j) for i, j in pairs]
    params = (a.network.params, b.network.params)
    found = grams(key, features, params, indices, split, batch=batch, positions=positions, folds=folds, mesh=mesh)
    table = np.full((len(a.cuts), len(b.cuts)), np.nan)
    for (i, j), moments in zip(pairs, found, strict=True):
        table[i, j] = min(1.0, moments.cka())
    return table


def _check_split(where, split, graph):
    if not isinstance(split, Split):
        raise TypeError(f"{where}: split is a {type(split).__name__}, expected a jaxevo.data.Split such as data.train")
    check_inputs(f"{where} on {graph.name!r}", graph.network.inputs, split.inputs)


def _features(parents, values):
    """Returns the function `(params of both, inputs) -> features` of both networks, channels last."""
    parts = [piece(graph, graph.program.inputs, tuple(v)) for graph, v in zip(parents, values, strict=True)]
    adapters = [adapter(parents[0].network, graph.network) for graph in parents]

    def features(params, inputs):
        found = []
        for part, adapt, own in zip(parts, adapters, params, strict=True):
            results = part.apply(part.select(own), *jax.tree.leaves(adapt(inputs)))
            axes = [part.graph.features[v].channel for v in part.writes]
            # A value without a channel axis takes part in no pair.
            found += [r if c is None else jnp.moveaxis(r, c, -1) for r, c in zip(results, axes, strict=True)]
        return found

    return features


def _swapped(moments: Moments) -> Moments:
    order = np.r_[0, 1 + moments.a : 1 + moments.a + moments.b, 1 : 1 + moments.a]
    return Moments(moments.folds[:, order][:, :, order], moments.b, moments.a)


def _solve(total: np.ndarray, source: int, ridges) -> list[tuple[np.ndarray, np.ndarray]]:
    """Solves ridge regression for several ridges from sums of products; one eigendecomposition serves all of them."""
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


def _choose(moments: Moments, ridges) -> tuple[float, float]:
    """Returns the ridge with the least squared error on held-out folds, and that error over the target's variance."""
    total, errors, variance = moments.folds.sum(0), np.zeros(len(ridges)), 0.0
    for held in moments.folds:
        for i, (kernel, bias) in enumerate(_solve(total - held, moments.a, ridges)):
            weights = np.vstack([bias, kernel, -np.eye(moments.b)])
            errors[i] += np.sum(weights * (held @ weights))
    y = slice(1 + moments.a, None)
    variance = np.trace(total[y, y]) - np.sum(total[0, y] ** 2) / total[0, 0]
    best = int(np.argmin(errors))
    return float(ridges[best]), float(errors[best] / max(variance, np.finfo(np.float32).tiny))


def _recolour(moments: Moments, kernel: np.ndarray) -> np.ndarray:
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


def _rescale(moments: Moments, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scales each channel of a stitch to the variance of the one that it replaces; its bias gives it the same mean."""
    covariance = moments.covariance()
    x, y = slice(None, moments.a), slice(moments.a, None)
    made = np.einsum("st,su,ut->t", kernel, covariance[x, x], kernel)
    scale = np.sqrt(np.maximum(np.diag(covariance[y, y]), 0) / np.maximum(made, np.finfo(np.float32).tiny))
    kernel = kernel * np.minimum(scale, LARGEST_SCALE)
    total = moments.folds.sum(0)
    mean = total[0, 1:] / total[0, 0]
    return kernel, mean[y] - mean[x] @ kernel
