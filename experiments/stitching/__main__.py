"""Entry of `python -m experiments.stitching`."""

import argparse

import experiments.stitching
from experiments import pretrained
from experiments.folder import claim
from experiments.loading import identity_of
from experiments.options import parse
from experiments.stitching.pipeline import run
from experiments.stitching.presets import PRESETS
from experiments.stitching.reporting import report
from experiments.stitching.starting import load, settings_of


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--parents", metavar="NAME", nargs="+", choices=pretrained.NAMES, help="networks with ImageNet weights instead"
    )
    parser.add_argument("--export", action="store_true", help="write the front as ONNX files and compare them")


def main() -> None:
    """Runs the experiment."""
    options = parse("stitching", experiments.stitching.__doc__ or "", PRESETS, more=_own)
    settings = settings_of(options)
    dataset = load(settings)
    with claim(options.out, identity_of(settings, options.preset, options.seed, dataset), options.resume) as folder:
        report(settings, dataset, options.seed, folder, run(settings, dataset, options.seed, folder))


if __name__ == "__main__":
    main()
