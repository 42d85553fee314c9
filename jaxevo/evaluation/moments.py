"""Second moments of pairs of features, gathered in one pass: what least squares and feature similarity need.

`A` and `B` are the channels of the two features of a pair, `F` the number of folds.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxevo.data import Split, batches
from jaxevo.evaluation.layout import check_mesh
from jaxevo.network import check_key

PyTree = Any


class Moments(NamedTuple):
    """Sums of products of `[1, a, b]` over examples and positions.

    folds: float64 [F, 1 + A + B, 1 + A + B]; examples are dealt to the folds at random.
    a, b: numbers of channels.
    """

    folds: np.ndarray
    a: int
    b: int

    def covariance(self) -> np.ndarray:
        """Returns the covariance of `[a, b]` over all folds, float64 [A + B, A + B]."""
        total = self.folds.sum(0)
        mean = total[0, 1:] / total[0, 0]
        return total[1:, 1:] / total[0, 0] - np.outer(mean, mean)

    def cka(self) -> float:
        """Returns the linear centred kernel alignment of the two features, in [0, 1] (arXiv 1905.00414, section 3).

        It is inflated where positions are not many more than channels.
        """
        covariance = self.covariance()
        a, b = slice(None, self.a), slice(self.a, None)
        norm = np.linalg.norm(covariance[a, a]) * np.linalg.norm(covariance[b, b])
        return float(np.linalg.norm(covariance[a, b]) ** 2 / norm) if norm > 0 else 0.0


def grams(
    key: jax.Array,
    features: Callable[[PyTree, PyTree], Sequence[jax.Array]],
    params: PyTree,
    pairs: Sequence[tuple[int, int]],
    split: Split,
    *,
    batch: int = 64,
    positions: int = 4096,
    folds: int = 4,
    mesh: Mesh | None = None,
) -> list[Moments]:
    """Gathers the second moments of pairs of features in one pass over the data.

    Products are accumulated in float32 at the highest precision within a batch and in float64 over batches.

    Args:
      key: shuffles the examples and samples positions.
      features: pure `(params, inputs) -> features`, arrays [batch, ..., channels].
      params: its parameters.
      pairs: indices of the two features of each pair; the axes but the last must agree.
      split: the examples.
      batch: examples at a time, at most a fold.
      positions: at most so many positions of each batch are looked at.
      folds: F, at least 2.
      mesh: devices, over which the examples are spread; by default all.

    Returns:
      The moments of each pair.

    Raises:
      ValueError: where there are fewer examples than folds, or a number is out of range.
    """
    key = check_key("grams", key)
    for name, value, least in (("batch", batch, 1), ("positions", positions, 1), ("folds", folds, 2)):
        if value < least:
            raise ValueError(f"grams: {name} is {value}, expected at least {least}")
    if len(split) < folds:
        raise ValueError(f"grams: split has {len(split)} examples, expected at least one for each of {folds} folds")
    mesh = check_mesh("grams", mesh)
    batch = min(batch, len(split) // folds)
    batch = math.ceil(batch / mesh.size) * mesh.size
    rows, whole = NamedSharding(mesh, P(("pop", "data"))), NamedSharding(mesh, P())

    @jax.jit
    def moments(key, params, inputs, mask):
        found = features(params, inputs)
        return [_moments(key, found[i], found[j], mask, positions) for i, j in pairs]

    params = jax.device_put(params, whole)
    shuffle, sample = jax.random.split(key)
    totals: list[np.ndarray] = []
    for index, part in enumerate(batches(split, batch, shuffle)):
        inputs, mask = jax.device_put((part.inputs, part.mask), rows)
        found = jax.device_get(moments(jax.random.fold_in(sample, index), params, inputs, mask))
        if not totals:
            totals = [np.zeros((folds, *m.shape)) for m in found]
        for total, one in zip(totals, found, strict=True):
            total[index % folds] += one
    sizes = jax.eval_shape(features, params, jax.ShapeDtypeStruct((batch, *split.inputs.shape[1:]), jnp.float32))
    return [Moments(t, sizes[i].shape[-1], sizes[j].shape[-1]) for t, (i, j) in zip(totals, pairs, strict=True)]


def _moments(key, a, b, mask, positions):
    space = math.prod(a.shape[1:-1])
    weight = jnp.repeat(mask, space).astype(jnp.float32)
    rows = jnp.concatenate([a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])], axis=1).astype(jnp.float32)
    if len(rows) > positions:
        chosen = jax.random.choice(key, len(rows), (positions,), replace=False)
        rows, weight = rows[chosen], weight[chosen]
    rows = jnp.concatenate([jnp.ones((len(rows), 1)), rows], axis=1)
    return jnp.matmul((rows * weight[:, None]).T, rows, precision="highest")
