"""Labelled pictures that lie on disk, encoded, read into memory as a data set.

N is the number of pictures of a split.
"""

import concurrent.futures
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxevo.data.recipes import Recipe, crop, decoded
from jaxevo.data.sources import CLASSES, SPLITS, Encoded, Source, source, splits_of
from jaxevo.data.splits import Dataset, Split, stratified

#: Shares of train, valid and test where a set has but one split, and of train and valid where it has none for valid.
_OF_ONE, _OF_TRAIN = (0.7, 0.15, 0.15), (0.9, 0.1)


def whole(name: str, size: int | None = None, data_dir: str | None = None) -> Dataset:
    """Reads a set of pictures into memory.

    Args:
      name: "tfds:NAME" or "folder:PATH", as `source` takes it.
      size: height and width to which pictures are brought: the shorter side is resized, the middle of the longer one
        taken; by default they stay as they are, all of one shape.
      data_dir: where tfds keeps its sets.

    Returns:
      The data set: the splits that the set has, and where it has none for valid, or only one, parts of train,
      stratified and the same every time. Inputs float32 [N, height, width, 1 or 3] are scaled by mean and standard
      deviation of train.

    Raises:
      ValueError, FileNotFoundError, ImportError: as `source`; or where pictures differ in shape, or need more than a
        third of the machine's memory.
    """
    sources = _opened(name, data_dir)
    for which, one in sources.items():
        if not len(one):
            raise ValueError(f"load: {name} has no pictures for {which}; expected at least one")
    train, recipe = sources["train"], None if size is None else Recipe(size, size, "bicubic")
    first = _said(decoded, train[0])
    # Grey pictures have one channel where the first is grey, all others three.
    mode = "L" if first.mode == "L" else "RGB"
    height, width = (first.height, first.width) if size is None else (size, size)
    shape = (height, width, 1 if mode == "L" else 3)
    _check_room(name, sum(map(len, sources.values())), shape)

    def pixels(encoded: bytes) -> np.ndarray:
        if recipe is not None:
            return crop(recipe, encoded)[..., : shape[-1]]
        return np.atleast_3d(np.asarray(decoded(encoded).convert(mode)))

    def read(one: Source) -> tuple[np.ndarray, np.ndarray]:
        inputs, labels = np.empty((len(one), *shape), np.float32), np.empty(len(one), np.int32)

        def take(row: int) -> None:
            encoded = one[row]
            found = _said(pixels, encoded)
            if found.shape != shape:
                raise ValueError(
                    f"load: pictures of {name} have several sizes: {encoded.name} {list(found.shape[:2])}, others "
                    f"{list(shape[:2])}; name one, such as '{name},size={min(shape[:2])}'"
                )
            inputs[row], labels[row] = found, encoded.label

        with concurrent.futures.ThreadPoolExecutor() as threads:
            for _ in threads.map(take, range(len(one))):
                pass
        return inputs, labels

    found = _shared({which: read(one) for which, one in sources.items()})
    mean, scale = _moments(found["train"][0])
    for inputs, _ in found.values():
        # In place, as they may be most of what there is room for.
        inputs -= mean
        inputs /= scale
    splits = {which: Split(*pair) for which, pair in found.items()}
    return Dataset(name, splits["train"], splits["valid"], splits["test"], train.classes)


def _said(read: Callable[[bytes], Any], encoded: Encoded) -> Any:
    """Reads a picture, and says which one where it cannot be."""
    try:
        return read(encoded.picture)
    except ValueError as error:
        raise ValueError(f"load: {encoded.name} cannot be read: {error}") from error


def _moments(inputs: np.ndarray) -> tuple[np.float32, np.float32]:
    """Returns mean and standard deviation, a part of the examples at a time; a deviation of 0 is 1."""
    parts, count = np.array_split(inputs, -(-len(inputs) // 1024)), inputs.size
    mean = sum(float(part.sum(dtype=np.float64)) for part in parts) / count
    variance = sum(float(np.square(part.astype(np.float64) - mean).sum()) for part in parts) / count
    return np.float32(mean), np.float32(variance**0.5 or 1)


def _opened(name: str, data_dir: str | None) -> dict[str, Source]:
    """Opens the splits that a set has, by the names that we have for them."""
    there = splits_of(name, data_dir)
    train = source(name, "train", data_dir)
    # Each by the first of the names for it that nothing else has.
    found, taken = {"train": train}, {one for one in SPLITS["train"] if one in there}
    for which in ("test", "valid"):
        own = [one for one in SPLITS[which] if one in there and one not in taken]
        if own:
            found[which] = source(name, own[0], data_dir)
            taken.add(own[0])
    for which, one in found.items():
        if one.classes != train.classes:
            raise ValueError(
                f"load: {name} has classes {list(one.classes)} in {which} and {list(train.classes)} in train, expected "
                f"the same; name all of them in {CLASSES}, or add the folders that are missing"
            )
    return found


def _shared(found: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Takes from train, of each class its share, what a set has no split for."""
    missing = [which for which in ("valid", "test") if which not in found]
    if not missing:
        return found
    inputs, labels = found["train"]
    order, shares = stratified(labels), _OF_ONE if len(missing) == 2 else _OF_TRAIN
    parts = np.split(order, np.round(np.cumsum(shares) * len(order)).astype(int)[:-1])
    return found | {which: (inputs[rows], labels[rows]) for which, rows in zip(("train", *missing), parts, strict=True)}


def _check_room(name: str, count: int, shape: tuple[int, int, int]) -> None:
    needed, there = 4 * count * int(np.prod(shape)), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if 3 * needed > there:
        raise ValueError(
            f"load: {name} has {count:,} pictures of {shape[0]}x{shape[1]}, {needed / 2**30:.1f} GiB in memory, "
            f"expected at most a third of this machine's {there / 2**30:.1f} GiB; name a smaller size, or leave them "
            "on disk with data.source"
        )
