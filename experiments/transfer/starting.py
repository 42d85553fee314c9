"""What a run begins with: its settings, its data, its teachers and students, and what makes it this run."""

import argparse
import dataclasses
import pathlib
from typing import Any

import jax

from experiments import loading, zoo
from experiments.loading import loaded
from experiments.modules import TIMM, absent, over_pictures, timm
from experiments.parents import Parent, parent
from experiments.transfer.presets import PRESETS, ZOO, Architecture, Settings
from jaxevo.data import Dataset
from jaxevo.network import Network, Trainable, spec
from jaxevo.training import as_trainable


def settings_of(options: argparse.Namespace) -> Settings:
    """Returns the settings that a command line asks for.

    Raises:
      SystemExit: where packages that they need are missing.
    """
    settings = PRESETS[options.preset]
    families = {ZOO[name].family for pair in settings.pairs for name in pair}
    if "timm" in families and (missing := absent(TIMM)):
        raise SystemExit(f"this run needs {', '.join(missing)}; pip install them first")
    return settings if options.data is None else dataclasses.replace(settings, data=options.data)


def load(settings: Settings) -> Dataset:
    """Loads the data of a run, and says in one line what is missing before any work is done.

    Raises:
      SystemExit: where the data or a package is not there, or there are no pictures with classes.
    """
    dataset = loaded(settings.data)
    shape = dataset.train.inputs.shape[1:]
    if len(shape) != 3 or dataset.train.labels.ndim != 1 or not dataset.classes:
        raise SystemExit(
            f"--data is {dataset.name!r} with inputs {list(shape)}, expected pictures labelled by class; pass photos, "
            "mnist5k or digits"
        )
    return dataset


def identity_of(settings: Settings, preset: str, seed: int, dataset: Dataset) -> dict[str, Any]:
    """Returns what makes a run this run."""
    names = sorted({name for pair in settings.pairs for name in pair})
    architectures = {name: dataclasses.asdict(ZOO[name]) for name in names}
    return {**loading.identity_of(settings, preset, seed, dataset), "architectures": architectures}


def teacher_of(key: jax.Array, name: str, settings: Settings, dataset: Dataset, folder: pathlib.Path) -> Network:
    """Trains a teacher, or goes on where the folder holds one; of timm, takes it in with its published weights."""
    architecture = ZOO[name]
    if architecture.family == "timm":
        return _timm(architecture, dataset, pretrained=True)
    rates = settings.teacher_rates
    rate = rates.get(architecture.family, rates[""])
    asked = Parent(architecture.family, architecture.sizes, settings.teacher_epochs, rate)
    return dataclasses.replace(parent(key, asked, dataset, settings.batch, folder), name=name)


def student_of(name: str, dataset: Dataset) -> Trainable:
    """Returns a student that nobody has trained."""
    architecture = ZOO[name]
    if architecture.family == "timm":
        return as_trainable(_timm(architecture, dataset, pretrained=False), "batch")
    one = spec(dataset.train.inputs[:1])
    return dataclasses.replace(zoo.build(architecture.family, one, dataset.classes, **architecture.sizes), name=name)


def _timm(architecture: Architecture, dataset: Dataset, *, pretrained: bool) -> Network:
    name, shape = architecture.sizes["name"], dataset.train.inputs.shape[1:]
    if pretrained:
        return over_pictures(timm(name, pretrained=True), shape, name)
    module = timm(name, pretrained=False, num_classes=len(dataset.classes))
    return over_pictures(module, shape, name, classes=dataset.classes)
