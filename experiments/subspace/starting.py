"""What a run begins with: its settings, its data, its parent, and what makes it this run."""

import argparse
import dataclasses
import pathlib

import jax
import numpy as np

from experiments import pretrained
from experiments.loading import loaded
from experiments.modules import over_pictures, timm
from experiments.parents import Parent, parent, rows_of
from experiments.probing import Pretrained, probed
from experiments.subspace.presets import ARCHITECTURES, PRESETS, PRETRAINED, Architecture, Settings
from jaxevo.data import Dataset, Split
from jaxevo.network import Network


def settings_of(options: argparse.Namespace) -> Settings:
    """Returns the settings that a command line asks for.

    With a pretrained parent the preset is the one of `PRETRAINED`, and the bare name of its data means the data as that
    preset sets them.

    Raises:
      SystemExit: where they are not there, or packages that they need are missing.
    """
    settings = PRESETS[options.preset]
    if options.parent in ARCHITECTURES:
        if options.preset != "paper":
            raise SystemExit(
                f"--parent is {options.parent!r}, which goes with --preset paper; pass it, or another parent"
            )
        settings = dataclasses.replace(settings, parent=Architecture(options.parent))
    elif options.parent is not None:
        if options.preset not in PRETRAINED:
            raise SystemExit(
                f"--preset is {options.preset!r}, but {options.parent} has {', '.join(map(repr, PRETRAINED))}; pass one"
            )
        if missing := pretrained.missing(options.parent):
            raise SystemExit(f"this run needs {', '.join(missing)}; pip install them first")
        settings = dataclasses.replace(PRETRAINED[options.preset], parent=Pretrained(options.parent))
    bare = settings.data.partition(":")[0]
    if options.data is not None and not (options.parent and options.data == bare):
        settings = dataclasses.replace(settings, data=options.data)
    return settings


def load(settings: Settings) -> Dataset:
    """Loads the data of a run, and says in one line what is missing before any work is done.

    Raises:
      SystemExit: where the data or a package is not there.
    """
    return loaded(settings.data)


def keys_of(seed: int) -> dict[str, jax.Array]:
    """Returns the keys of everything that is drawn."""
    names = ("parent", "masks", "examples", "window", "generation", "evolution")
    return dict(zip(names, jax.random.split(jax.random.key(seed), len(names)), strict=True))


def parent_of(settings: Settings, dataset: Dataset, seed: int, path: pathlib.Path) -> Network:
    """Trains the parent, or takes it in trained, or restores it from where a run keeps it.

    Args:
      settings, seed: of the run.
      dataset: its train split is trained on, no other is looked at.
      path: where the parent lies, or will.

    Returns:
      The parent.
    """
    which = settings.parent
    if isinstance(which, Pretrained):
        return probed(which, dataset, path)
    if isinstance(which, Parent):
        return parent(keys_of(seed)["parent"], which, dataset, settings.batch, path)
    module, shape = timm(which.architecture, pretrained=True), dataset.train.inputs.shape[1:]
    return over_pictures(module, shape, which.architecture, classes=dataset.classes)


def some(key: jax.Array, split: Split, examples: int | None) -> Split:
    """Returns that many examples of a split, drawn without replacement; all of them for None."""
    if examples is None or examples >= len(split):
        return split
    return rows_of(split, np.sort(np.asarray(jax.random.permutation(key, len(split)))[:examples]))
