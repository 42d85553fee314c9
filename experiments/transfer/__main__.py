"""Entry of `python -m experiments.transfer`."""

import experiments.transfer
from experiments.folder import claim
from experiments.options import parse
from experiments.transfer.pipeline import run
from experiments.transfer.presets import PRESETS
from experiments.transfer.reporting import report
from experiments.transfer.starting import identity_of, load, settings_of


def main() -> None:
    """Runs the experiment."""
    options = parse("transfer", experiments.transfer.__doc__ or "", PRESETS)
    settings = settings_of(options)
    dataset = load(settings)
    with claim(options.out, identity_of(settings, options.preset, options.seed, dataset), options.resume) as folder:
        report(settings, dataset, options.seed, folder, run(settings, dataset, options.seed, folder))


if __name__ == "__main__":
    main()
