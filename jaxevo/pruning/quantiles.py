"""Which members of a front vote together: bins of accuracy, as published (arXiv 2302.10253, section on ensembles)."""

from typing import Any

import numpy as np

from jaxevo.checks import as_numbers


def accuracy_bins(accuracy: Any, bins: int = 4) -> list[np.ndarray]:
    """Sorts members into bins between quantiles of their accuracy.

    Args:
      accuracy: [n], of each member on examples that are not those of the test split; n at least `bins`.
      bins: how many, at least 1.

    Returns:
      Indices of the members of each bin, the best bin first, its best member first; sizes differ by one at most, the
      larger bins first; of equal members the earlier one counts as better.

    Raises:
      ValueError: where arguments are not as above.
    """
    accuracy = as_numbers("accuracy_bins", "accuracy", accuracy)
    if accuracy.ndim != 1 or not np.isfinite(accuracy).all():
        raise ValueError(f"accuracy_bins: accuracy is {accuracy}, expected finite numbers [n]")
    if isinstance(bins, bool) or not isinstance(bins, int) or not 1 <= bins <= len(accuracy):
        raise ValueError(f"accuracy_bins: bins is {bins!r}, expected a whole number between 1 and {len(accuracy)}")
    return np.array_split(np.argsort(-accuracy, kind="stable"), bins)
