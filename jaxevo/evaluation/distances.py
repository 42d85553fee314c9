"""Fréchet distance between examples and what a generator makes, in the features of any network.

Source: Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter 2017 (arXiv 1706.08500), equation 6. F is the number of
features, B the batch size.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.checks import check_size
from jaxevo.evaluation.metrics import Metric
from jaxevo.network import Network, batched, check_inputs

PyTree = Any


class FeatureSums(NamedTuple):
    """Sums over examples.

    count: how many there are.
    first: [F], sum of their features, about an origin.
    second: [F, F], sum of the products of their features, about the same.
    """

    count: Any
    first: Any
    second: Any


def frechet(extractor: Network, examples: Any, *, batch: int = 256) -> Metric:
    """Makes the Fréchet distance of what networks give from examples; in a fitness, write `-frechet(...)`.

    With the pool features of the Inception network that the source names it is FID; with those of any other network it
    is a Fréchet distance with that network's features, and no figure to hold against published ones.

    Args:
      extractor: gives features [B, F], or [B, ...] of F numbers, of an example.
      examples: [N, ...], what networks are to be like; N at least 2.
      batch: examples at a time.

    Returns:
      The metric, for spaces whose networks give examples as values.

    Raises:
      TypeError, ValueError: where an argument is not as above.
    """
    if not isinstance(extractor, Network):
        raise TypeError(f"frechet: extractor is a {type(extractor).__name__}, expected a jaxevo.Network")
    count = check_inputs("frechet: examples", extractor.inputs, examples)
    if count < 2:
        raise ValueError("frechet: examples has 1 row, expected at least 2")
    check_size("frechet", "batch", batch)
    batch = min(batch, count)
    features = jax.eval_shape(extractor.apply, extractor.params, batched(extractor.inputs, 1))
    if not isinstance(features, jax.ShapeDtypeStruct):
        raise ValueError(
            f"frechet: extractor {extractor.name!r} gives {jax.tree.structure(features)}, expected one array [B, ...] "
            "of features; make a Network that gives those alone"
        )

    def gather(outputs: jax.Array, labels: Any, mask: jax.Array, own: PyTree) -> FeatureSums:
        del labels
        params, origin = own
        check_inputs(f"frechet({extractor.name})", extractor.inputs, outputs)
        return _sums(extractor.apply(params, outputs), origin, mask)

    gathered = jax.jit(gather)

    def summed(own: PyTree) -> FeatureSums:
        parts = []
        for start in range(0, count, batch):
            rows = np.asarray(examples[start : start + batch])
            mask = np.arange(batch) < len(rows)
            rows = np.pad(rows, [(0, batch - len(rows))] + [(0, 0)] * (rows.ndim - 1))
            parts.append(jax.device_get(gathered(rows, None, mask, own)))
        return jax.tree.map(lambda *leaves: np.sum(np.asarray(leaves, np.float64), axis=0), *parts)

    rough = summed((extractor.params, np.zeros(features.size, np.float32)))
    # The distance does not change with the origin, but sums of products about the mean lose fewer digits.
    own = (extractor.params, (rough.first / rough.count).astype(np.float32))
    reached = summed(own)
    return Metric(
        f"frechet({extractor.name})", False, "sums", gather=gather, finish=lambda sums: distance(sums, reached),
        reads="anything", own=own,
    )  # fmt: skip


def distance(one: FeatureSums, other: FeatureSums) -> float:
    """Returns the Fréchet distance of the normal distributions that have the moments of two sets.

    |m - n|^2 + tr(S + T - 2 (S T)^(1/2)); the trace of the root is the sum of the roots of the eigenvalues of
    S^(1/2) T S^(1/2), which is symmetric. On the host, in double precision: covariances are differences of sums.

    Args:
      one, other: sums over at least two examples each; covariances divide by one less.

    Returns:
      At least 0, to rounding; NaN where a moment is not finite.
    """
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((one, other))):
        return float("nan")
    (mean, spread), (target, wanted) = _normal(one), _normal(other)
    values, vectors = np.linalg.eigh(spread)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    roots = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ wanted @ root), 0))
    return float(np.square(mean - target).sum() + np.trace(spread) + np.trace(wanted) - 2 * roots.sum())


def _sums(features: jax.Array, origin: jax.Array, mask: jax.Array) -> FeatureSums:
    features = features.astype(jnp.float32).reshape(len(mask), -1) - origin
    # `where`, never a product: a padded example may give NaN.
    features = jnp.where(mask[:, None], features, 0)
    second = jnp.matmul(features.T, features, precision=jax.lax.Precision.HIGHEST)
    return FeatureSums(mask.sum(), features.sum(axis=0), second)


def _normal(sums: FeatureSums) -> tuple[np.ndarray, np.ndarray]:
    mean = sums.first / sums.count
    return mean, (sums.second - sums.count * np.outer(mean, mean)) / (sums.count - 1)
