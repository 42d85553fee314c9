"""The command line that every experiment has."""

import argparse
import pathlib
from collections.abc import Callable, Iterable


def parse(
    name: str,
    description: str,
    presets: Iterable[str],
    arguments: list[str] | None = None,
    more: Callable[[argparse.ArgumentParser], None] = lambda parser: None,  # noqa: ARG005
) -> argparse.Namespace:
    """Parses the options that experiments share.

    Args:
      name: of the experiment, as in `python -m experiments.NAME`.
      description: what it does, for `--help`.
      presets: names of its presets, the default first.
      arguments: instead of those of the process.
      more: adds the options that this experiment alone has.

    Returns:
      preset, data (None for the preset's own), out (a path), seed and resume, and the experiment's own.
    """
    presets = list(presets)
    parser = argparse.ArgumentParser(f"python -m experiments.{name}", description=description, allow_abbrev=False)
    parser.add_argument("--preset", choices=presets, default=presets[0], help="how much to do (default: %(default)s)")
    parser.add_argument("--data", metavar="NAME", help="data set, such as digits, mnist5k, photos or npz:PATH")
    parser.add_argument("--out", metavar="DIR", type=pathlib.Path, help="folder of results (default: runs/NAME-...)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="seed of everything (default: 0)")
    parser.add_argument("--resume", action="store_true", help="continue what the folder holds")
    more(parser)
    options = parser.parse_args(arguments)
    if not 0 <= options.seed < 2**32:
        # Larger seeds would not fail: jax.random.key cuts them, so that two seeds would be the same run.
        parser.error(f"--seed is {options.seed}, expected 0 to {2**32 - 1}")
    if options.out is None:
        data = "" if options.data is None else "-" + options.data.replace("/", "_").replace(":", "_")
        options.out = pathlib.Path("runs") / f"{name}-{options.preset}{data}-seed{options.seed}"
    return options
