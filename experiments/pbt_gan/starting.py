"""What a run begins with: pictures, the search space, what makes the run this run, and its keys."""

import dataclasses
from typing import Any

import jax
import numpy as np

from experiments.pbt_gan.chains import chains
from experiments.pbt_gan.presets import Settings
from experiments.resizing import resized
from jaxevo import data, pbt, plots
from jaxevo.data import Dataset, Split

#: Share of the brightest and darkest values of train that are cut off where pictures are brought to [-1, 1].
_CUT = 1e-3


def load(settings: Settings) -> Dataset:
    """Loads the pictures of a run, [N, size, size, C] in [-1, 1], and says in one line what is missing.

    Raises:
      SystemExit: where the data or a package is not there.
    """
    try:
        dataset = data.load(settings.data)
        # Where matplotlib is missing, say so now and not after minutes of work.
        plots.canvas()
    except (ValueError, ImportError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from None
    low, high = np.quantile(dataset.train.inputs, [_CUT, 1 - _CUT])

    def prepared(split: Split) -> Split:
        inputs = resized((split.inputs.astype(np.float32) - low) / (high - low) * 2 - 1, settings.size)
        return Split(np.clip(inputs, -1, 1), split.labels)

    splits = {which: prepared(getattr(dataset, which)) for which in ("train", "valid", "test")}
    return dataclasses.replace(dataset, **splits)


def identity_of(settings: Settings, preset: str, seed: int, dataset: Dataset) -> dict[str, Any]:
    """Returns what makes a run this run."""
    return {
        **dataclasses.asdict(settings), "preset": preset, "seed": seed, "data_fingerprint": data.fingerprint(dataset)
    }  # fmt: skip


def keys_of(seed: int) -> dict[str, jax.Array]:
    """Returns the keys of everything that is drawn; all methods share one, and so begin with the same members."""
    names = ("classifier", "methods", "valid", "test", "pictures")
    return dict(zip(names, jax.random.split(jax.random.key(seed), len(names)), strict=True))


def architecture_of(settings: Settings, channels: int) -> pbt.Architecture:
    """Returns the search space of a run."""
    if settings.cells == "chains":
        return chains(channels, **settings.sizes)
    from experiments.pbt_gan.cells import cells

    return cells(settings.size, channels, **settings.sizes)
