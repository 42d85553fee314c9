"""Runs as child processes: started, watched while they save, and ended."""

import importlib
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable

from jaxevo.checkpoint import MANIFEST

ROOT = pathlib.Path(__file__).parents[2]

#: Seconds after which a run that neither ends nor stops counts as hung.
HUNG = 300


def prepare(programs: pathlib.Path) -> None:
    """Makes all children share what they compile, with the compiler's settings of all tests."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(programs))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    importlib.import_module("tests.conftest")


def start(name: str, path: pathlib.Path) -> subprocess.Popen:
    """Starts a run into a folder, or continues it; what it says is appended to the log beside it."""
    command = [sys.executable, "-u", "-m", "tests.faults.runs", name, str(path), "--resume"]
    with log_of(path).open("a") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)


def finish(name: str, path: pathlib.Path) -> float:
    """Runs to the end.

    Returns:
      How many seconds that took.

    Raises:
      RuntimeError: where it failed or hung, with what it said.
    """
    begin = time.monotonic()
    with start(name, path) as child:
        wait(child)
    if child.returncode:
        raise RuntimeError(f"{name} in {path} ended with {child.returncode}:\n{said(path)}")
    return time.monotonic() - begin


def wait(child: subprocess.Popen) -> int:
    """Waits for the end of a run and returns its exit code; kills one that hangs."""
    try:
        return child.wait(HUNG)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def until(child: subprocess.Popen, reached: Callable[[], bool], seconds: float = HUNG, pause: float = 0.01) -> bool:
    """Waits until something holds; returns False where the run, or the time, ends before."""
    limit = time.monotonic() + seconds
    while child.poll() is None and time.monotonic() < limit:
        if reached():
            return True
        time.sleep(pause)
    return False


def saved(path: pathlib.Path) -> bool:
    """Returns whether a run has saved a whole checkpoint."""
    return any(steps(folder) for folder in folders(path))


def saving(path: pathlib.Path) -> bool:
    """Returns whether a run is in the middle of a save, or was when it was killed."""
    # Unlike rglob, walk does not mind that what it looks into goes away.
    return any(name.endswith(".building") for _, names, _ in os.walk(path) for name in names)


def folders(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns the folders of numbered checkpoints in the folder of a run."""
    found = (pathlib.Path(root) for root, _, files in os.walk(path) if ".lock" in files)
    return [folder for folder in found if folder != path]


def steps(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the whole checkpoints of a folder, the oldest first."""
    return sorted(step for step in folder.glob("step_*") if (step / MANIFEST).exists())


def log_of(path: pathlib.Path) -> pathlib.Path:
    """Returns where the log of a run lies."""
    return path.with_name(f"{path.name}.log")


def said(path: pathlib.Path) -> str:
    """Returns what a run has said."""
    return log_of(path).read_text() if log_of(path).exists() else ""
