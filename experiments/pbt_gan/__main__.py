"""Entry of `python -m experiments.pbt_gan`."""

import argparse
import dataclasses

import experiments.pbt_gan
from experiments.folder import claim
from experiments.loading import identity_of
from experiments.options import parse
from experiments.pbt_gan.pipeline import run
from experiments.pbt_gan.presets import PRESETS
from experiments.pbt_gan.reporting import report
from experiments.pbt_gan.starting import load


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--features", metavar="FILE",
        help="ONNX network over pictures [B, 3, height, width] in [0, 1] whose outputs measure, such as Inception's "
        "pool features for FID; by default a classifier that is trained here",
    )  # fmt: skip


def main() -> None:
    """Runs the experiment."""
    options = parse("pbt_gan", experiments.pbt_gan.__doc__ or "", PRESETS, more=_own)
    settings = dataclasses.replace(PRESETS[options.preset], features=options.features)
    settings = settings if options.data is None else dataclasses.replace(settings, data=options.data)
    dataset = load(settings)
    with claim(options.out, identity_of(settings, options.preset, options.seed, dataset), options.resume) as folder:
        report(settings, dataset, options.seed, folder, run(settings, dataset, options.seed, folder))


if __name__ == "__main__":
    main()
