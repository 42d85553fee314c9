"""Batches of one shape: the last one is padded and says which of its rows count."""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from jaxevo.checks import check_size
from jaxevo.data.splits import Split
from jaxevo.network import check_key


class Batch(NamedTuple):
    """A batch of B examples, some of which may be padding.

    inputs: [B, ...]; padded rows are zeros.
    labels: [B, ...] int32 or float32, as those of the split; padded rows are 0.
    mask: [B] bool; False for padded rows, which must not count.
    """

    inputs: np.ndarray
    labels: np.ndarray
    mask: np.ndarray


def batches(split: Split, size: int, key: jax.Array | None = None) -> Iterator[Batch]:
    """Walks once over a split; every example comes once and every batch has the same shape.

    Args:
      split: the examples.
      size: examples in a batch, at least 1.
      key: shuffles, the same way for the same key; without it the order is that of the split.

    Returns:
      Iterator over `ceil(len(split) / size)` batches of host arrays.

    Raises:
      TypeError, ValueError: where an argument is not what it should be.
    """
    check_batch("batches", split, size)
    order = np.arange(len(split))
    if key is not None:
        order = np.asarray(jax.random.permutation(check_key("batches", key), len(split)))
    return (_gather(split, order[start : start + size], size) for start in range(0, len(split), size))


def check_batch(where: str, split: Split, size: int) -> None:
    """Raises TypeError or ValueError, starting with `where`, unless `split` can be walked in batches of `size`."""
    if not isinstance(split, Split):
        raise TypeError(f"{where}: split is a {type(split).__name__}, expected a jaxevo.data.Split such as data.train")
    check_size(where, "batch size", size)


def _gather(split: Split, rows: np.ndarray, size: int) -> Batch:
    mask = np.arange(size) < len(rows)
    inputs = np.zeros((size, *split.inputs.shape[1:]), split.inputs.dtype)
    labels = np.zeros((size, *split.labels.shape[1:]), split.labels.dtype)
    inputs[: len(rows)], labels[: len(rows)] = split.inputs[rows], split.labels[rows]
    return Batch(inputs, labels, mask)
