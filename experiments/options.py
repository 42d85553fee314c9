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


def parse_benchmark(
    name: str,
    description: str,
    resume: str | None = None,
    more: Callable[[argparse.ArgumentParser], None] = lambda parser: None,  # noqa: ARG005
) -> argparse.Namespace:
    """Parses the options that benchmarks share.

    Args:
      name: of the benchmark, as in `python -m experiments.benchmarks.NAME`.
      description: what it does, its module's docstring.
      resume: what `--resume` means to it, None where it has no such option.
      more: adds the options that this benchmark alone has.

    Returns:
      out (a path), resume where there is one, and the benchmark's own.
    """
    parser = _described(f"experiments.benchmarks.{name}", description)
    out = pathlib.Path("runs") / f"benchmark-{name}"
    parser.add_argument("--out", metavar="DIR", type=pathlib.Path, default=out, help="results (default: %(default)s)")
    if resume is not None:
        parser.add_argument("--resume", action="store_true", help=resume)
    more(parser)
    return parser.parse_args()


def parse_seeds(name: str, description: str, presets: Iterable[str], preset: str, count: int) -> argparse.Namespace:
    """Parses the options of an experiment that runs over seeds.

    Args:
      name: of the experiment, as in `python -m experiments.NAME.seeds`.
      description: what it does, its module's docstring.
      presets: names of its presets.
      preset: the default one.
      count: how many seeds there are by default.

    Returns:
      preset, data (None for the preset's own), seeds (their number) and out (a path).
    """
    parser = _described(f"experiments.{name}.seeds", description)
    parser.add_argument("--preset", choices=list(presets), default=preset, help="what to run (default: %(default)s)")
    parser.add_argument("--data", metavar="NAME", help="data set instead of the preset's own")
    parser.add_argument(
        "--seeds", type=at_least_1, metavar="N", default=count, help="seeds 0 to N - 1 (default: %(default)s)"
    )
    parser.add_argument("--out", metavar="DIR", type=pathlib.Path, help=f"results (default: runs/{name}-seeds-PRESET)")
    options = parser.parse_args()
    options.out = options.out or pathlib.Path("runs") / f"{name}-seeds-{options.preset}"
    return options


def at_least_1(text: str) -> int:
    """Reads a whole number of at least 1.

    Raises:
      argparse.ArgumentTypeError: where it is none.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"is {text}, expected a whole number of at least 1")
    return number


def _described(module: str, description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        f"python -m {module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
