"""Entry of `python -m experiments.pbt_rl`."""

import dataclasses

import experiments.pbt_rl
from experiments.folder import claim
from experiments.options import parse
from experiments.pbt_rl.pipeline import run
from experiments.pbt_rl.presets import PRESETS
from experiments.pbt_rl.reporting import report
from experiments.pbt_rl.starting import identity_of, load


def main() -> None:
    """Runs the experiment."""
    options = parse("pbt_rl", experiments.pbt_rl.__doc__ or "", PRESETS)
    settings = PRESETS[options.preset]
    settings = settings if options.data is None else dataclasses.replace(settings, data=options.data)
    environment = load(settings)
    with claim(options.out, identity_of(settings, options.preset, options.seed, environment), options.resume) as folder:
        report(settings, environment, options.seed, folder, run(settings, environment, options.seed, folder))


if __name__ == "__main__":
    main()
