"""What teachers and students learn from: different pictures of one data set."""

import numpy as np

from experiments.parents import rows_of
from jaxevo.data import Dataset


def tasks(dataset: Dataset, share: int) -> tuple[Dataset, Dataset]:
    """Divides the training pictures of a data set between teachers and students.

    Args:
      dataset: labelled by class.
      share: one picture in so many is the students'; with 1 all are.

    Returns:
      The teachers' data and the students'; valid and test are whole in both.
    """
    rows = np.arange(len(dataset.train))
    # Counted within each class, so that classes stay balanced whatever their order.
    place = np.empty(len(rows), int)
    for label in np.unique(dataset.train.labels):
        mine = np.flatnonzero(dataset.train.labels == label)
        place[mine] = np.arange(len(mine))
    students = place % share == 0

    def part(who: str, which: np.ndarray) -> Dataset:
        train = rows_of(dataset.train, rows[which])
        return Dataset(f"{dataset.name}, {who}", train, dataset.valid, dataset.test, dataset.classes)

    return part("teachers", ~students), part("students", students)
