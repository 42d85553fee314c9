"""A split laid out for evaluation: batches of one size, stacked, the last one padded.

N is the number of examples, K that of batches, B the batch size.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxevo.network import check_inputs
from jaxevo.space import Space

PyTree = Any


class Examples(NamedTuple):
    """A split in K batches of B, the last one padded with examples that do not count.

    inputs: pytree of arrays [K, B, ...].
    labels: [K, B].
    mask: bool [K, B], false for padding.
    """

    inputs: PyTree
    labels: Any
    mask: Any


def stack(split: Any, count: int, batch: int, multiple: int) -> Examples:
    """Cuts a split into batches on the host; `batch` is rounded up to a multiple of `multiple`."""
    batch = -(-batch // multiple) * multiple
    batches = -(-count // batch)

    def one(leaf):
        leaf = np.asarray(leaf)
        padding = [(0, batches * batch - count)] + [(0, 0)] * (leaf.ndim - 1)
        return np.pad(leaf, padding).reshape(batches, batch, *leaf.shape[1:])

    return Examples(jax.tree.map(one, split.inputs), one(split.labels), one(np.ones(count, bool)))


def check_split(where: str, space: Space, split: Any) -> int:
    """Returns the number N of examples of a split that fits the space."""
    if not hasattr(split, "inputs") or not hasattr(split, "labels"):
        raise TypeError(f"{where}: split is {type(split).__name__}, expected inputs and labels; see jaxevo.data.arrays")
    count = check_inputs(f"{where} on space {space.name!r}", space.inputs, split.inputs)
    if np.ndim(split.labels) < 1 or len(split.labels) != count:
        raise ValueError(
            f"{where}: split.labels have shape {list(np.shape(split.labels))}, expected [{count}, ...], one per example"
        )
    return count


def check_labels(where: str, labels: np.ndarray) -> None:
    """Refuses labels that are no numbers of classes, one for each example."""
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{where}: split.labels are {labels.dtype} {list(labels.shape)}, expected whole numbers [N]; "
            "give the number of each example's class"
        )


def check_classes(where: str, labels: np.ndarray, classes: int) -> None:
    """Refuses labels of classes that the networks do not have."""
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"{where}: split.labels lie in [{labels.min()}, {labels.max()}], but the networks have {classes} classes; "
            "expected labels from 0 to one less"
        )
