"""Entry of `python -m experiments.stitching`."""

import dataclasses

import experiments.stitching
from experiments.folder import claim
from experiments.options import parse
from experiments.stitching.pipeline import run
from experiments.stitching.presets import PRESETS
from experiments.stitching.reporting import report
from experiments.stitching.starting import identity_of, load


def main() -> None:
    """Runs the experiment."""
    options = parse("stitching", experiments.stitching.__doc__ or "", PRESETS)
    settings = PRESETS[options.preset]
    if options.data is not None:
        settings = dataclasses.replace(settings, data=options.data)
    dataset = load(settings)
    with claim(options.out, identity_of(settings, options.preset, options.seed, dataset), options.resume) as folder:
        report(settings, dataset, options.seed, folder, run(settings, dataset, options.seed, folder))


if __name__ == "__main__":
    main()
