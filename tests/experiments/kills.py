"""Kills small runs at random moments, resumes them, and compares with a run that nobody disturbed.

python -m tests.experiments.kills [--rounds N] [--seed N]
"""

import argparse
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from experiments.report import table
from tests.experiments.tiny import differences

ROOT = pathlib.Path(__file__).parents[2]

#: What a run announces, in order.
PHASES = ("parents", "stitches", "nsga2", "gomea tree", "random search", "report", "retraining", "export", "latency")


def start(path: pathlib.Path) -> subprocess.Popen:
    """Starts a run into a folder, or continues it; what it prints is appended to the log beside it."""
    with log_of(path).open("a") as log:
        command = [sys.executable, "-u", "-m", "tests.experiments.tiny", str(path), "--resume"]
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)


def finish(path: pathlib.Path) -> float:
    """Runs to the end, and returns how many seconds that took."""
    begin = time.monotonic()
    with start(path) as process:
        process.wait()
    assert process.returncode == 0, log_of(path).read_text()
    return time.monotonic() - begin


def kill(path: pathlib.Path, reached: Callable[[], bool], wait: float) -> str | None:
    """Starts or continues a run, and kills it.

    Args:
      path: folder of the run.
      reached: polled from the start on; once it holds, the clock starts.
      wait: seconds from then on until the kill.

    Returns:
      The phase that the run was in, None where it ended before.
    """
    known = len(_announced(path))
    with start(path) as process:
        moment = None
        while process.poll() is None:
            if moment is None and reached():
                moment = time.monotonic() + wait
            if moment is not None and time.monotonic() >= moment:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.005)
        process.wait()
    if process.returncode == -signal.SIGKILL:
        return (["start", *_announced(path)[known:]])[-1]
    assert process.returncode == 0, log_of(path).read_text()
    return None


def in_phase(path: pathlib.Path, phase: str) -> Callable[[], bool]:
    """Makes the function that says whether a run, started after this call, has announced a phase."""
    known = len(_announced(path))
    return lambda: phase in _announced(path)[known:]


def log_of(path: pathlib.Path) -> pathlib.Path:
    """Returns where a run's log lies."""
    return path.with_name(f"{path.name}.log")


def _announced(path: pathlib.Path) -> list[str]:
    log = log_of(path)
    lines = log.read_text().splitlines() if log.exists() else []
    return [line.removesuffix(" ...") for line in lines if line.removesuffix(" ...") in PHASES]


def main() -> None:
    """Kills each of several runs once, at a moment drawn from the whole length of an undisturbed one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="how many runs to kill (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    options = parser.parse_args()
    moments, rows = random.Random(options.seed), []
    with tempfile.TemporaryDirectory() as folder:
        reference = pathlib.Path(folder) / "undisturbed"
        length = finish(reference)
        while len(rows) < options.rounds:
            path, moment = pathlib.Path(folder) / f"round-{len(rows) + 1}", moments.uniform(0, length)
            phase = kill(path, lambda: True, moment)
            if phase is None:
                # Faster than the undisturbed run: nothing was killed, so this one says nothing.
                path.rename(path.with_name(f"fast-{moment}"))
                continue
            finish(path)
            found = differences(reference, path)
            rows.append((len(rows) + 1, f"{moment:.1f}", phase, ", ".join(found) or "none"))
            print(f"round {rows[-1][0]}: killed after {moment:.1f} s ({phase}), differences: {rows[-1][3]}", flush=True)
    table(f"{length:.1f} s undisturbed", ("round", "killed after (s)", "in phase", "differences"), rows)
    if any(row[3] != "none" for row in rows):
        sys.exit("a resumed run ended with other bits than the undisturbed one")


if __name__ == "__main__":
    main()
