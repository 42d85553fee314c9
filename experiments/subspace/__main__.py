"""Entry of `python -m experiments.subspace`."""

import argparse

import experiments.subspace
from experiments import pretrained
from experiments.folder import claim
from experiments.loading import identity_of
from experiments.options import parse
from experiments.subspace.pipeline import run
from experiments.subspace.presets import ARCHITECTURES, PRESETS
from experiments.subspace.reporting import report
from experiments.subspace.starting import load, settings_of


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--parent",
        metavar="NAME",
        choices=(*pretrained.NAMES, *ARCHITECTURES),
        help=f"a trained network instead: {', '.join(pretrained.NAMES)}; with --preset paper one of timm's "
        f"{', '.join(ARCHITECTURES)}",
    )


def main() -> None:
    """Runs the experiment."""
    options = parse("subspace", experiments.subspace.__doc__ or "", PRESETS, more=_own)
    settings = settings_of(options)
    dataset = load(settings)
    with claim(options.out, identity_of(settings, options.preset, options.seed, dataset), options.resume) as folder:
        report(settings, dataset, options.seed, folder, run(settings, dataset, options.seed, folder))


if __name__ == "__main__":
    main()
