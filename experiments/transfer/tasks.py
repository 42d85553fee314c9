"""What teachers and students learn, from one data set."""

import numpy as np

from experiments.parents import rows_of
from jaxevo.data import Dataset, Split

#: Quarter turns that students tell apart.
TURNS = 4


def tasks(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Makes the teachers' and the students' data of a data set.

    No crop that a teacher learns from is one that a student learns from.

    Args:
      dataset: square pictures, labelled by class.

    Returns:
      The teachers' data: every second training picture, labels as they are. The students': the others, turned; label
      `TURNS * class + turn`. Valid and test are whole, and turned for students.
    """
    rows = np.arange(len(dataset.train))
    one, other = (rows_of(dataset.train, rows[rows % 2 == half]) for half in (0, 1))
    names = tuple(f"{name}, turned by {90 * turn}" for name in dataset.classes for turn in range(TURNS))
    splits = (_turned(split) for split in (other, dataset.valid, dataset.test))
    return (
        Dataset(f"{dataset.name}, one half", one, dataset.valid, dataset.test, dataset.classes),
        Dataset(f"{dataset.name}, turned", *splits, names),
    )


def _turned(split: Split) -> Split:
    """Turns picture i by i quarters, anticlockwise."""
    turns = np.arange(len(split)) % TURNS
    inputs = np.stack([np.rot90(picture, turn) for picture, turn in zip(split.inputs, turns, strict=True)])
    return Split(inputs, (TURNS * split.labels + turns).astype(np.int32))
