"""What a run begins with: its settings, its data, its backbone, and what makes it this run."""

import argparse
import csv
import dataclasses
import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import loading, pretrained
from experiments.loading import loaded
from experiments.modules import TIMM, absent, over_pictures, timm
from experiments.parents import extractor, parent, rows_of
from experiments.probing import Pretrained
from experiments.pruning.presets import PRESETS, PRETRAINED_SIZES, Published, Settings, Trained
from experiments.resizing import resized
from jaxevo import checkpoint, data
from jaxevo.data import Dataset, Split
from jaxevo.network import Network

#: Columns of a published front.
COLUMNS = ("accuracy", "active_share", "auroc")


class Task(NamedTuple):
    """What heads are trained for.

    known: the classes that they learn, in three splits.
    strange: what is not of the distribution, by where it comes from: for valid and for test.
    """

    known: Dataset
    strange: dict[str, dict[str, Split]]


def settings_of(options: argparse.Namespace) -> Settings:
    """Returns the settings that a command line asks for.

    Raises:
      SystemExit: where packages that they need are missing.
    """
    settings = PRESETS[options.preset]
    if options.backbone is not None:
        if missing := pretrained.missing(options.backbone):
            raise SystemExit(f"this run needs {', '.join(missing)}; pip install them first")
        size = PRETRAINED_SIZES[options.preset]
        settings = dataclasses.replace(settings, backbone=Pretrained(options.backbone), size=size)
    if options.data is not None:
        settings = dataclasses.replace(settings, data=options.data)
    if isinstance(settings.backbone, Published) and (missing := absent(TIMM)):
        raise SystemExit(f"this run needs {', '.join(missing)}; pip install them first")
    return settings


def load(settings: Settings) -> Task:
    """Loads the data of a run, and says in one line what is missing before any work is done.

    Raises:
      SystemExit: where the data or a package is not there.
    """
    return task_of(settings, loaded(settings.data), loaded(settings.other))


def task_of(settings: Settings, own: Dataset, other: Dataset) -> Task:
    """Divides data into what heads learn and what they must not know.

    Args:
      settings: of the run.
      own: the head's data set, of which the last `held_out` classes are not learned.
      other: another data set; of each split as many examples as the head's.

    Returns:
      The task, pictures [N, size, size, 3].
    """
    learned = len(own.classes) - settings.held_out
    if learned < 2:
        raise SystemExit(
            f"held_out is {settings.held_out} of {len(own.classes)} classes of {own.name}, which leaves one"
        )
    splits = {which: pictures(getattr(own, which), settings.size) for which in ("train", "valid", "test")}
    known = {which: rows_of(split, split.labels < learned) for which, split in splits.items()}
    strange: dict[str, dict[str, Split]] = {}
    if settings.held_out:
        strange["held-out classes"] = {
            which: rows_of(splits[which], splits[which].labels >= learned) for which in ("valid", "test")
        }
    strange[other.name] = {
        which: pictures(rows_of(getattr(other, which), slice(0, len(known[which]))), settings.size)
        for which in ("valid", "test")
    }
    name = f"{own.name}, {learned} classes"
    return Task(Dataset(name, known["train"], known["valid"], known["test"], own.classes[:learned]), strange)


def pictures(split: Split, size: int) -> Split:
    """Returns pictures [N, size, size, 3] of those of a split, grey ones in three equal channels."""
    inputs = np.repeat(split.inputs, 3, axis=-1) if split.inputs.shape[-1] == 1 else split.inputs
    return Split(resized(inputs, size), split.labels)


def identity_of(settings: Settings, preset: str, seed: int, task: Task) -> dict[str, Any]:
    """Returns what makes a run this run."""
    strange = {name: [split.inputs for split in kinds.values()] for name, kinds in task.strange.items()}
    return {
        **loading.identity_of(settings, preset, seed, task.known), "strange_fingerprint": checkpoint.digest(strange)
    }  # fmt: skip


def keys_of(seed: int) -> dict[str, jax.Array]:
    """Returns the keys of everything that is drawn."""
    names = ("backbone", "references", "nsga2", "random search", "start")
    return dict(zip(names, jax.random.split(jax.random.key(seed), len(names)), strict=True))


def backbone_of(settings: Settings, seed: int, path: pathlib.Path) -> Network:
    """Trains the backbone, or takes it in trained, or restores it from where a run keeps it.

    Args:
      settings, seed: of the run.
      path: where a backbone that is trained here lies, or will.

    Returns:
      A network over pictures [B, size, size, 3] that gives features [B, F].
    """
    which = settings.backbone
    if isinstance(which, Trained):
        dataset = data.load(which.data)
        splits = {part: pictures(getattr(dataset, part), settings.size) for part in ("train", "valid", "test")}
        dataset = dataclasses.replace(dataset, **splits)
        return extractor(parent(keys_of(seed)["backbone"], which.network, dataset, which.batch, path))
    shape = (settings.size, settings.size, 3)
    if isinstance(which, Pretrained):
        module = pretrained.backbone(which.pretrained, settings.size)
        return over_pictures(module, shape, which.pretrained, spread=pretrained.SPREAD, output="values")
    module = timm(which.architecture, pretrained=True, num_classes=0)
    return over_pictures(module, shape, which.architecture, output="values")


def published_front(path: pathlib.Path | None) -> np.ndarray | None:
    """Reads a published front.

    Args:
      path: a CSV file with the columns accuracy, active_share and auroc; None for none.

    Returns:
      [n, 3], the columns in that order.

    Raises:
      SystemExit: where the file is not there or does not hold what it should.
    """
    if path is None:
        return None
    try:
        with path.open(newline="") as file:
            return np.array([[float(row[name]) for name in COLUMNS] for row in csv.DictReader(file)]).reshape(-1, 3)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise SystemExit(
            f"--published {path}: {error!r}; expected a CSV file with columns {', '.join(COLUMNS)}"
        ) from None
