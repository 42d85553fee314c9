"""The pictures of a run: a source that stays on disk, or a split of ready arrays."""

import argparse
from typing import NamedTuple

from jaxevo import data
from jaxevo.data import Dataset, Source, Split


class Pictures(NamedTuple):
    """Pictures of one split.

    name: what tables call them.
    examples: the pictures.
    classes: names of the classes.
    fingerprint: of what they are.
    """

    name: str
    examples: Source | Split
    classes: tuple[str, ...]
    fingerprint: str


def read(options: argparse.Namespace, split: str | None, usual: str) -> Pictures:
    """Opens the pictures that a command line asks for.

    For "npz:PATH", whose arrays are ready, size is set to that of its pictures.

    Args:
      options: data, data_dir and size.
      split: which split, None for `usual`.
      usual: "train", "valid" or "test"; sets of three splits (npz) are reported on test, published ones on the split
        that they have beside train.

    Raises:
      SystemExit: where it is not there, or holds no such pictures.
    """
    try:
        if options.data.startswith("npz:"):
            return _arrays(options, split or usual)
        found = data.source(options.data, split or usual, options.data_dir)
    except (ValueError, TypeError, ImportError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from None
    return Pictures(f"{options.data} {split or usual}", found, found.classes, found.fingerprint)


def ready(options: argparse.Namespace) -> Dataset:
    """Loads "npz:PATH", whose arrays are ready, and sets size to that of its pictures.

    Args:
      options: data and size.

    Raises:
      ValueError: where its inputs are no square pictures with a class each, or size is another one.
    """
    dataset = data.load(options.data)
    shape, labels = dataset.train.inputs.shape[1:], dataset.train.labels
    if len(shape) != 3 or shape[2] != 3 or shape[0] != shape[1] or not dataset.classes or labels.ndim != 1:
        raise ValueError(
            f"{options.data} has inputs {list(shape)} and labels {list(labels.shape)}, expected pictures "
            "[N, size, size, 3], each with a class"
        )
    if options.size not in (None, shape[0]):
        raise ValueError(f"--size is {options.size}, but pictures of {options.data} are ready and have {shape[0]}")
    options.size = shape[0]
    return dataset


def _arrays(options: argparse.Namespace, split: str) -> Pictures:
    dataset = ready(options)
    if split not in ("train", "valid", "test"):
        raise ValueError(f"--split is {split!r}, but {options.data} has train, valid and test")
    name = f"{options.data} {split}"
    return Pictures(name, getattr(dataset, split), dataset.classes, data.fingerprint(dataset))
