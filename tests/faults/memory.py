"""Resident memory of long runs: what 500 generations hold against what 50 did.

    python -m tests.faults.memory [NAME ...] [--generations N]

Each run is a process of its own and saves every fifth generation. Ends with exit code 1 where memory has grown to more
than 1.1 times what it was after the first tenth.
"""

import argparse
import gc
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxevo import evaluation, search, subspace
from jaxevo.data import Split
from tests.pbt import runs as populations
from tests.subspace.parents import dense

#: What memory may grow to, as a multiple.
LIMIT = 1.1

_RNG = np.random.default_rng(0)
_VALID = Split(_RNG.normal(size=(32, 8, 8, 3)).astype(np.float32), _RNG.integers(0, 3, 32).astype(np.int32))
_METRICS = [evaluation.accuracy, -evaluation.nll]

Problem = tuple[search.Strategy, Callable]


def _shared() -> Problem:
    space = subspace.partition(dense(), 3, 0.1, granularity="layer")
    return search.nsga2(space, 8), evaluation.shared(space, _VALID, _METRICS)


def _population() -> Problem:
    space = subspace.partition(dense(), 16, 0.1, terms=4)
    return search.truncation(space, 8, 2, objectives=2), evaluation.population(space, _VALID, _METRICS)


def _trained() -> Problem:
    strategy, fit = populations.parts(False)
    return strategy, evaluation.after(fit, populations.VALID, [evaluation.accuracy])


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "shared evaluation": _shared,
    "population evaluation": _population,
    "trained members": _trained,
}


def measure(name: str, generations: int) -> tuple[float, float]:
    """Runs a problem, and returns the resident memory in MB after a tenth of its generations and at its end."""
    strategy, evaluate = PROBLEMS[name]()
    found: dict[int, float] = {}

    def look(entry: dict[str, Any], state: Any) -> None:
        if entry["generation"] in (generations // 10, generations):
            gc.collect()
            found[entry["generation"]] = _resident()

    with tempfile.TemporaryDirectory() as folder:
        key = jax.random.key(0)
        search.run(key, strategy, evaluate, generations, checkpoint=folder, every=5, progress=False, callback=look)
    return found[generations // 10], found[generations]


def _resident() -> float:
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Reads the command line and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(map(repr, PROBLEMS))} (default: all)")
    parser.add_argument("--generations", type=int, default=500)
    options = parser.parse_args()
    if unknown := set(options.names) - set(PROBLEMS):
        parser.error(f"there is no {sorted(unknown)}, only {list(PROBLEMS)}")
    if len(options.names) == 1:
        early, late = measure(options.names[0], options.generations)
        print(f"| {options.names[0]} | {early:.0f} MB | {late:.0f} MB | {late / early:.3f} |")
        sys.exit(late > LIMIT * early)
    print(f"| run | after {options.generations // 10} | after {options.generations} generations | ratio |")
    print("|---|---|---|---|", flush=True)
    command = [sys.executable, "-m", "tests.faults.memory", "--generations", str(options.generations)]
    sys.exit(max(subprocess.run([*command, name]).returncode for name in options.names or PROBLEMS))


if __name__ == "__main__":
    main()
