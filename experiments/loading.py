"""What every experiment begins with: its data, and what makes a run this run."""

import dataclasses
from typing import Any

from jaxevo import data, plots
from jaxevo.data import Dataset


def loaded(name: str) -> Dataset:
    """Loads a data set for an experiment that will draw pictures, and says in one line what is missing.

    Args:
      name: as in `jaxevo.data.load`.

    Raises:
      SystemExit: where the data or a package is not there.
    """
    check_plots()
    try:
        return data.load(name)
    except (ValueError, ImportError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from None


def check_plots() -> None:
    """Says where matplotlib is missing before any work is done, and not after minutes of it.

    Raises:
      SystemExit: where it is.
    """
    try:
        plots.canvas()
    except ImportError as error:
        raise SystemExit(str(error)) from None


def identity_of(settings: Any, preset: str, seed: int, dataset: Dataset) -> dict[str, Any]:
    """Returns what makes a run this run: its settings, a dataclass, and its data."""
    return {
        **dataclasses.asdict(settings), "preset": preset, "seed": seed, "data_fingerprint": data.fingerprint(dataset)
    }  # fmt: skip
