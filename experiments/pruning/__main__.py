"""Entry of `python -m experiments.pruning`."""

import argparse
import pathlib

import experiments.pruning
from experiments import pretrained
from experiments.folder import claim
from experiments.options import parse
from experiments.pruning.pipeline import run
from experiments.pruning.presets import PRESETS
from experiments.pruning.reporting import report
from experiments.pruning.starting import identity_of, load, published_front, settings_of


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backbone", metavar="NAME", choices=pretrained.NAMES, help=f"one of {', '.join(pretrained.NAMES)} instead"
    )
    parser.add_argument(
        "--published", metavar="FILE", type=pathlib.Path,
        help="CSV file with columns accuracy, active_share, auroc, a front to draw beside ours",
    )  # fmt: skip


def main() -> None:
    """Runs the experiment."""
    options = parse("pruning", experiments.pruning.__doc__ or "", PRESETS, more=_own)
    published, settings = published_front(options.published), settings_of(options)
    task = load(settings)
    with claim(options.out, identity_of(settings, options.preset, options.seed, task), options.resume) as folder:
        report(settings, task, options.seed, folder, run(settings, task, options.seed, folder), published)


if __name__ == "__main__":
    main()
