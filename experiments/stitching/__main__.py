"""Entry of `python -m experiments.stitching`."""

import dataclasses

import experiments.stitching
from experiments.folder import claim
from experiments.options import parse
from experiments.stitching.pipeline import run
from experiments.stitching.presets import PRESETS
from experiments.stitching.reporting import report
from jaxevo import data, plots


def main() -> None:
    """Runs the experiment."""
    options = parse("stitching", experiments.stitching.__doc__ or "", PRESETS)
    settings = PRESETS[options.preset]
    if options.data is not None:
        settings = dataclasses.replace(settings, data=options.data)
    try:
        dataset = data.load(settings.data)
        # Where matplotlib is missing, say so now and not after minutes of work.
        plots.canvas()
    except (ValueError, ImportError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from None
    identity = {
        **dataclasses.asdict(settings), "preset": options.preset, "seed": options.seed,
        "data_fingerprint": data.fingerprint(dataset),
    }  # fmt: skip
    with claim(options.out, identity, options.resume) as folder:
        outcome = run(settings, dataset, options.seed, folder)
        report(settings, dataset, options.seed, folder, outcome)


if __name__ == "__main__":
    main()
