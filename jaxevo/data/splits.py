"""`Split` and `Dataset`: labelled examples as host arrays, and the doors for a user's own.

Labels are classes, one for each example, maps of classes (segmentation), or values (regression). N is the number of
examples of a split.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxevo.data.labels import IGNORED, are_classes


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Examples of one split, on the host.

    inputs: [N, ...] float32; pictures are [N, height, width, channels].
    labels: classes, int32 [N] in [0, number of classes); maps of classes, int32 [N, ...], where -1 counts nowhere; or
      values, float32 [N] or [N, ...].
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
    classes: names of the classes, label i is `classes[i]`; () where labels are values.
    """

    name: str
    train: Split
    valid: Split
    test: Split
    classes: tuple[str, ...]


def stratified(labels: np.ndarray) -> np.ndarray:
    """Orders examples at random, always the same way, so that every stretch of the order holds classes in their shares.

    Args:
      labels: classes, int [N].

    Returns:
      Rows, int [N].
    """
    rng = np.random.default_rng(0)
    rank = np.empty(len(labels))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        rank[rng.permutation(rows)] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.argsort(rank, kind="stable")


def arrays(
    train: tuple[Any, Any],
    valid: tuple[Any, Any],
    test: tuple[Any, Any],
    classes: Sequence[str] | None = None,
    name: str = "arrays",
) -> Dataset:
    """Makes a `Dataset` of arrays; values are used as they are, so bring inputs to about zero mean and unit scale.

    Args:
      train: pair (inputs [N, ...], labels); floating inputs without NaN or infinity. Labels are integers [N], the class
        of each example, or [N, ...], maps of classes such as [N, height, width], -1 at positions that count nowhere
        (VOC's 255: `numpy.where(labels == 255, -1, labels)`); or floating numbers [N] or [N, ...], values to regress.
      valid: the same for validation; the shapes of one example and of its labels must agree.
      test: the same for the test split.
      classes: names of the classes; by default the numbers from 0 to the largest label of any split. None for values.
      name: what tables call it.

    Returns:
      The dataset, inputs as float32 and labels as int32 or float32.

    Raises:
      TypeError: where a split is no pair, inputs are not floating, labels are neither integers nor floating, or splits
        or classes disagree about which they are.
      ValueError: where lengths or shapes disagree, a value is not finite, or a label is out of range.
    """
    if not isinstance(name, str):
        raise TypeError(f"arrays: name is {name!r}, expected a string, what tables call the data")
    splits = {which: _split(which, pair) for which, pair in (("train", train), ("valid", valid), ("test", test))}
    for which, split in splits.items():
        _check_alike(which, split, splits["train"])
    names = _class_names(splits, classes)
    return Dataset(name, splits["train"], splits["valid"], splits["test"], names)


def _class_names(splits: dict[str, Split], classes: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the names of the classes, () for values."""
    if classes is not None and (
        isinstance(classes, str) or not isinstance(classes, Sequence) or not all(isinstance(c, str) for c in classes)
    ):
        raise TypeError(f"arrays: classes is {classes!r}, expected a sequence of names")
    if not are_classes(splits["train"].labels):
        if classes:
            raise TypeError(
                f"arrays: classes is {classes!r}, but labels are values; leave it out or pass integer labels"
            )
        return ()
    largest = max(int(split.labels.max()) for split in splits.values())
    names = tuple(str(i) for i in range(largest + 1)) if classes is None else tuple(classes)
    for which, split in splits.items():
        if int(split.labels.max()) >= len(names):
            raise ValueError(
                f"arrays: {which} labels reach {int(split.labels.max())}, expected less than {len(names)}, "
                "the number of classes; count labels from 0, name every class, and write -1 where nothing counts"
            )
    return names


def _check_alike(which: str, split: Split, train: Split) -> None:
    kinds = ["classes (integers)" if are_classes(one.labels) else "values (floating)" for one in (split, train)]
    if kinds[0] != kinds[1]:
        raise TypeError(
            f"arrays: {which} labels are {kinds[0]}, those of train {kinds[1]}; bring all splits to one kind"
        )
    for what, came, expected in (
        ("examples", split.inputs.shape[1:], train.inputs.shape[1:]),
        ("labels", split.labels.shape[1:], train.labels.shape[1:]),
    ):
        if came != expected:
            raise ValueError(
                f"arrays: {which} has {what} of shape {list(came)}, train of {list(expected)}; "
                "bring all splits to one shape"
            )


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
    over_classes = are_classes(labels)
    if not over_classes and not np.issubdtype(labels.dtype, np.floating):
        raise TypeError(
            f"arrays: {which} labels have dtype {labels.dtype}, expected integers for classes or floating numbers for "
            "values"
        )
    if inputs.ndim < 2 or labels.ndim < 1:
        raise ValueError(
            f"arrays: {which} has inputs {list(inputs.shape)} and labels {list(labels.shape)}, "
            "expected [N, ...] with at least two axes and [N] or [N, ...]"
        )
    if len(inputs) != len(labels) or not labels.size:
        raise ValueError(
            f"arrays: {which} has {len(inputs)} inputs and {len(labels)} labels, expected as many of both, at least 1"
        )
    # A float64 may be more than a float32 holds.
    with np.errstate(over="ignore"):
        inputs, labels = (
            np.ascontiguousarray(values, dtype)
            for values, dtype in ((inputs, np.float32), (labels, labels.dtype if over_classes else np.float32))
        )
    for what, values in (("inputs", inputs), ("labels", labels)):
        if not np.isfinite(values).all():
            bad = int(np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(1))[0])
            raise ValueError(f"arrays: {which} {what} hold NaN or infinity, first in example {bad}; repair or drop it")
    if over_classes:
        _check_range(which, labels)
    return Split(inputs, labels.astype(np.int32, copy=False) if over_classes else labels)


def _check_range(which: str, labels: np.ndarray) -> None:
    """Refuses labels that are too small; an example that counts nowhere is no example, a position may."""
    least = 0 if labels.ndim == 1 else IGNORED
    if labels.min() < least:
        also = "" if labels.ndim == 1 else ", and write -1 where nothing counts"
        raise ValueError(
            f"arrays: {which} labels start at {labels.min()}, expected {least} or more; count classes from 0{also}"
        )


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
