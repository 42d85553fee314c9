"""`Split` and `Dataset`: labelled examples as host arrays, and the doors for a user's own.

N is the number of examples of a split.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Examples of one split, on the host.

    inputs: [N, ...] float32; pictures are [N, height, width, channels].
    labels: [N] int32, in [0, number of classes).
    """

    inputs: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A set of examples in three splits: search sees `train` and `valid`, results are reported on `test`.

    name: what tables call it.
    train, valid, test: its splits, disjoint.
    classes: names of the classes; label i is `classes[i]`.
    """

    name: str
    train: Split
    valid: Split
    test: Split
    classes: tuple[str, ...]


def arrays(
    train: tuple[Any, Any],
    valid: tuple[Any, Any],
    test: tuple[Any, Any],
    classes: Sequence[str] | None = None,
    name: str = "arrays",
) -> Dataset:
    """Makes a `Dataset` of arrays; values are used as they are, so bring inputs to about zero mean and unit scale.

    Args:
      train: pair (inputs [N, ...], labels [N]); floating inputs without NaN or infinity, integer labels.
      valid: the same for validation; the shape of one example must agree.
      test: the same for the test split.
      classes: names of the classes; by default the numbers from 0 to the largest label of any split.
      name: what tables call it.

    Returns:
      The dataset, inputs as float32 and labels as int32.

    Raises:
      TypeError: where a split is no pair, inputs are not floating or labels not integers.
      ValueError: where lengths or shapes disagree, a value is not finite, or a label is out of range.
    """
    splits = {which: _split(which, pair) for which, pair in (("train", train), ("valid", valid), ("test", test))}
    shape = splits["train"].inputs.shape[1:]
    for which, split in splits.items():
        if split.inputs.shape[1:] != shape:
            raise ValueError(
                f"arrays: {which} has examples of shape {list(split.inputs.shape[1:])}, train of {list(shape)}; "
                "bring all splits to one shape"
            )
    largest = max(int(split.labels.max()) for split in splits.values())
    if classes is not None and (isinstance(classes, str) or not all(isinstance(c, str) for c in classes)):
        raise TypeError(f"arrays: classes is {classes!r}, expected a sequence of names")
    names = tuple(str(i) for i in range(largest + 1)) if classes is None else tuple(classes)
    for which, split in splits.items():
        if int(split.labels.max()) >= len(names):
            raise ValueError(
                f"arrays: {which} labels reach {int(split.labels.max())}, expected less than {len(names)}, "
                "the number of classes; count labels from 0 or name every class"
            )
    return Dataset(name, splits["train"], splits["valid"], splits["test"], names)


def _split(which: str, pair: tuple[Any, Any]) -> Split:
    if isinstance(pair, Split):
        pair = (pair.inputs, pair.labels)
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"arrays: {which} is a {type(pair).__name__}, expected a pair (inputs, labels)")
    inputs, labels = np.asarray(pair[0]), np.asarray(pair[1])
    if not np.issubdtype(inputs.dtype, np.floating):
        raise TypeError(
            f"arrays: {which} inputs have dtype {inputs.dtype}, expected a floating one; "
            "bring them to about zero mean and unit scale (pictures: (pixels - 127.5) / 64)"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"arrays: {which} labels have dtype {labels.dtype}, expected integers")
    if inputs.ndim < 2 or labels.ndim != 1:
        raise ValueError(
            f"arrays: {which} has inputs {list(inputs.shape)} and labels {list(labels.shape)}, "
            "expected [N, ...] with at least two axes and [N]"
        )
    if len(inputs) != len(labels) or not len(labels):
        raise ValueError(
            f"arrays: {which} has {len(inputs)} inputs and {len(labels)} labels, expected as many of both, at least 1"
        )
    if not np.isfinite(inputs).all():
        bad = int(np.flatnonzero(~np.isfinite(inputs).reshape(len(inputs), -1).all(1))[0])
        raise ValueError(f"arrays: {which} inputs hold NaN or infinity, first in example {bad}; repair or drop it")
    if labels.min() < 0:
        raise ValueError(f"arrays: {which} labels start at {labels.min()}, expected 0 or more; count classes from 0")
    return Split(np.ascontiguousarray(inputs, dtype=np.float32), np.ascontiguousarray(labels, dtype=np.int32))


def fingerprint(dataset: Dataset) -> str:
    """Returns the sha256 of a dataset's arrays and class names, in hexadecimal; its name does not count.

    Args:
      dataset: the dataset.

    Raises:
      TypeError: where it is no `Dataset`.
    """
    if not isinstance(dataset, Dataset):
        raise TypeError(f"fingerprint: dataset is a {type(dataset).__name__}, expected a jaxevo.data.Dataset")
    digest = hashlib.sha256(repr(dataset.classes).encode())
    for split in (dataset.train, dataset.valid, dataset.test):
        for array in (split.inputs, split.labels):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
