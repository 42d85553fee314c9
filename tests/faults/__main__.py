"""Kills runs at random moments, continues them, and compares with runs that nobody disturbed; then other mishaps.

    python -m tests.faults [--rounds N] [--runs NAME ...] [--out DIR] [--at-once N] [--minutes M] [--seed N]

A campaign that is cut off goes on with the same command. Ends with exit code 1 where anything was not as it should be.
"""

import argparse
import math
import pathlib
import signal
import sys

from tests.faults import campaign, children
from tests.faults.runs import RUNS


def main() -> None:
    """Reads the command line, runs the campaign, and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="kills of each run (default: %(default)s)")
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS), help="which (default: all)")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/faults"), help="(default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=2, help="children at a time (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin nothing new after them")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    options = parser.parse_args()
    out = options.out.absolute()
    # Children of a process that a shell runs in the background would ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    children.prepare(out / "programs")
    kept = campaign.run(options.runs, options.rounds, options.seed, out, options.at_once, 60 * options.minutes)
    print("\n" + campaign.table(kept, out))
    if any(entry["wrong"] for entry in kept.entries):
        sys.exit("not all of it was as it should be")


if __name__ == "__main__":
    main()
