"""What a run begins with: its data, and what makes it this run."""

import argparse
import dataclasses
import importlib.util

from experiments import pretrained
from experiments.loading import loaded
from experiments.stitching.presets import PRESETS, PRETRAINED, Pretrained, Settings
from jaxevo.data import Dataset


def settings_of(options: argparse.Namespace) -> Settings:
    """Returns the settings that a command line asks for.

    With pretrained parents the preset is the one of `PRETRAINED`, and the bare name of its data means the data as that
    preset sets them.

    Raises:
      SystemExit: where they are not there, or packages that they need are missing.
    """
    if options.parents is not None and len(options.parents) < 2:
        raise SystemExit(f"--parents names {options.parents[0]} alone, expected at least two networks")
    if options.parents is None:
        settings = PRESETS[options.preset]
    elif options.preset not in PRETRAINED:
        raise SystemExit(
            f"--preset is {options.preset!r}, but pretrained parents have {', '.join(map(repr, PRETRAINED))}; pass one"
        )
    else:
        parents = tuple(Pretrained(name) for name in options.parents)
        settings = dataclasses.replace(PRETRAINED[options.preset], parents=parents)
    bare = settings.data.partition(":")[0]
    if options.data is not None and not (options.parents and options.data == bare):
        settings = dataclasses.replace(settings, data=options.data)
    settings = dataclasses.replace(settings, export=settings.export or options.export)
    needed = {one for name in options.parents or () for one in pretrained.missing(name)}
    needed |= {name for name in ("onnx", "onnxruntime") if settings.export and importlib.util.find_spec(name) is None}
    if needed:
        raise SystemExit(f"this run needs {', '.join(sorted(needed))}; pip install them first")
    return settings


def load(settings: Settings) -> Dataset:
    """Loads the data of a run, and says in one line what is missing before any work is done.

    Raises:
      SystemExit: where the data or a package is not there.
    """
    return loaded(settings.data)
