"""Second moments of pairs of features, gathered in one pass: what least squares and feature similarity need.

`A` and `B` are the channels of the two features of a pair, `F` the number of folds.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxevo.data import Split, batches
from jaxevo.data.batching import check_batch
from jaxevo.devices import check_mesh
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
      batch: examples at a time, at most a fold; padded where devices do not divide it.
      positions: at most so many positions of each batch are looked at, spread evenly from a drawn first one.
      folds: F, at least 2.
      mesh: devices, over which the examples are spread; by default all.

    Returns:
      The moments of each pair.

    Raises:
      TypeError: where key, features, split or mesh is none.
      ValueError: where there are fewer examples than folds, a number is out of range, or features fail on the
        parameters and examples or are not as described.
    """
    key = check_key("grams", key)
    for name, value, least in (("batch", batch, 1), ("positions", positions, 1), ("folds", folds, 2)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"grams: {name} is {value!r}, expected a whole number of at least {least}")
    check_batch("grams", split, batch)
    if len(split) < folds:
        raise ValueError(f"grams: split has {len(split)} examples, expected at least one for each of {folds} folds")
    mesh = check_mesh("grams", mesh)
    batch = min(batch, len(split) // folds)
    channels = _check_features(features, params, pairs, split, batch)
    rows, whole = NamedSharding(mesh, P(("pop", "data"))), NamedSharding(mesh, P())

    @jax.jit
    def moments(key, params, inputs, mask):
        found = features(params, inputs)
        return [_moments(key, found[i], found[j], mask, positions, batch) for i, j in pairs]

    params = jax.device_put(params, whole)
    shuffle, sample = jax.random.split(key)
    totals: list[np.ndarray] = []

    def walk():
        for index, part in enumerate(batches(split, batch, shuffle)):
            inputs, mask = jax.device_put(_padded((part.inputs, part.mask), mesh.size), rows)
            yield moments(jax.random.fold_in(sample, index), params, inputs, mask)

    # The next batch is under way before the products of one are waited for, so that devices do not wait for the host.
    for index, (one, _) in enumerate(itertools.pairwise(itertools.chain(walk(), (None,)))):
        found = jax.device_get(one)
        if not totals:
            totals = [np.zeros((folds, *m.shape)) for m in found]
        for total, products in zip(totals, found, strict=True):
            total[index % folds] += products
    return [Moments(t, channels[i], channels[j]) for t, (i, j) in zip(totals, pairs, strict=True)]


def _check_features(features, params, pairs, split, batch) -> list[int]:
    """Returns the number of channels of each feature, 0 for a scalar, before anything is compiled."""
    if not callable(features):
        raise TypeError(f"grams: features is {features!r}, expected a function (params, inputs) -> features")
    several = isinstance(pairs, tuple | list) and all(isinstance(pair, tuple | list) for pair in pairs)
    if not several or not all(len(pair) == 2 and all(isinstance(i, int) for i in pair) for pair in pairs):
        raise TypeError(f"grams: pairs is {pairs!r}, expected pairs of indices of features, such as [(0, 1)]")
    inputs = jax.ShapeDtypeStruct((batch, *split.inputs.shape[1:]), split.inputs.dtype)
    try:
        found = jax.eval_shape(features, params, inputs)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise ValueError(
            f"grams: features fails on params {jax.tree.map(np.shape, params)} and inputs {list(inputs.shape)}: "
            f"{error}; pass the parameters and examples that it is a function of"
        ) from error
    shapes = [tuple(feature.shape) for feature in found]
    for i, j in pairs:
        if not (0 <= i < len(shapes) and 0 <= j < len(shapes)):
            raise ValueError(f"grams: pairs holds {(i, j)}, expected indices of {len(shapes)} features")
        if len(shapes[i]) < 2 or shapes[i][:-1] != shapes[j][:-1] or shapes[i][0] != batch:
            raise ValueError(
                f"grams: features {i} and {j} have shapes {list(shapes[i])} and {list(shapes[j])} at batch size "
                f"{batch}, expected [batch, ..., channels] that agree but for the channels"
            )
    return [shape[-1] if shape else 0 for shape in shapes]


def _padded(tree, multiple):
    """Pads the rows of a batch to a multiple of the number of devices; padded rows are masked."""

    def one(leaf):
        return np.pad(leaf, [(0, -len(leaf) % multiple)] + [(0, 0)] * (leaf.ndim - 1))

    return jax.tree.map(one, tree)


def _moments(key, a, b, mask, positions, batch):
    """Sums products over some positions of a batch, one drawn in each of as many stretches, which takes no sort.

    One offset for all would walk in step with the rows of a map, and read a column or two of it.
    """
    # Of the batch itself: rows that pad it for the devices come behind.
    each = math.prod(a.shape[1:-1])
    count = batch * each
    chosen = jnp.arange(count)
    if count > positions:
        spread = (np.arange(positions) * count // positions).astype(np.int32)
        chosen = spread + jax.random.randint(key, (positions,), 0, count // positions)
    weight = mask[chosen // each].astype(jnp.float32)
    rows = jnp.concatenate([x.reshape(-1, x.shape[-1])[chosen] for x in (a, b)], axis=1).astype(jnp.float32)
    rows = jnp.concatenate([jnp.ones((len(rows), 1)), rows], axis=1)
    return jnp.matmul((rows * weight[:, None]).T, rows, precision="highest")
