"""What a run begins with: its data, and what makes it this run."""

import dataclasses
from typing import Any

from experiments.stitching.presets import Settings
from jaxevo import data, plots
from jaxevo.data import Dataset


def load(settings: Settings) -> Dataset:
    """Loads the data of a run, and says in one line what is missing before any work is done.

    Raises:
      SystemExit: where the data or a package is not there.
    """
    try:
        dataset = data.load(settings.data)
        # Where matplotlib is missing, say so now and not after minutes of work.
        plots.canvas()
    except (ValueError, ImportError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from None
    return dataset


def identity_of(settings: Settings, preset: str, seed: int, dataset: Dataset) -> dict[str, Any]:
    """Returns what makes a run this run."""
    return {
        **dataclasses.asdict(settings), "preset": preset, "seed": seed, "data_fingerprint": data.fingerprint(dataset)
    }  # fmt: skip
