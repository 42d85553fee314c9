"""Lengths of axes that follow the batch: found by tracing at two batch sizes and comparing."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

#: Batch sizes that a network is traced with. Two, so that a length that follows the batch differs; prime to each other,
#: so that one that grows with its square fits no multiple.
SIZES = (3, 5)


class Batch(NamedTuple):
    """A length of so many batches."""

    times: int


Length = int | Batch


class BatchDependenceError(ValueError):
    """Something in a network depends on the batch in a way that no file can say."""


def common(first: Any, second: Any) -> Any:
    """Returns what is the same at both batch sizes, integers that follow the batch as `Batch`.

    Args:
      first, second: what an equation is bound with at `SIZES`: numbers, or tuples or lists of them, which come back as
        tuples; anything else is taken from the first.

    Raises:
      BatchDependenceError: where an integer differs and is no multiple of the batch.
    """
    if isinstance(first, tuple | list) and isinstance(second, tuple | list) and len(first) == len(second):
        found = [common(a, b) for a, b in zip(first, second, strict=True)]
        return type(first)(*found) if hasattr(first, "_fields") else tuple(found)
    if isinstance(first, int | np.integer) and isinstance(second, int | np.integer) and first != second:
        times = first // SIZES[0]
        if (times * SIZES[0], times * SIZES[1]) != (first, second):
            raise BatchDependenceError(f"{first} and {second} for batches of {SIZES[0]} and {SIZES[1]}")
        return Batch(int(times))
    return first


def fixed(lengths: Sequence[Length]) -> bool:
    """Returns whether none of the lengths follows the batch."""
    return all(not isinstance(length, Batch) for length in lengths)
