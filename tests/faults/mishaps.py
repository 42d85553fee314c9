"""Mishaps other than kills: a full disk, corrupted checkpoints, a second start, members that diverge."""

import contextlib
import pathlib
import re
import resource
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxevo.checkpoint import MANIFEST
from tests.faults import children
from tests.faults.ends import differences
from tests.faults.rounds import Undisturbed, forget

#: Bytes of the file system that is filled.
SMALL = 64 << 20


def disk_full(run: str, known: Undisturbed, folder: pathlib.Path) -> dict[str, Any]:
    """Takes away all room once a run has saved, gives it back, and lets the run go on."""
    path = folder / "disk"
    forget(path)
    path.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(path)], capture_output=True)
    how = "file size limit (no tmpfs could be mounted)" if mounted.returncode else f"tmpfs of {SMALL >> 20} MB"
    try:
        with children.start(run, path) as child:
            children.until(child, lambda: children.saved(path))
            if mounted.returncode:
                resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (_FEW, _FEW))
            else:
                _fill(path / "filler")
            code = children.wait(child)
        said = children.said(path)
        saw = next((_short(line) for line in said.splitlines() if "could not be written" in line), _last(path))
        whole = [step.name for one in children.folders(path) for step in children.steps(one)]
        (path / "filler").unlink(missing_ok=True)
        children.finish(run, path)
        wrong = differences(known.path, path) + ([] if code == 1 and whole else [f"{code}, {whole} were left"])
        # Past a limit of file sizes, Orbax's threads print errors of their own.
        wrong += ["more than a line was said"] if "Traceback" in said and not mounted.returncode else []
    finally:
        if not mounted.returncode:
            subprocess.run(["umount", str(path)], check=True)
    return _row(run, f"disk full, {how}", "ended; with room again it went on", saw, wrong)


#: Bytes to which files may grow under the limit: the lines of a log, but no checkpoint.
_FEW = 4096


def _fill(file: pathlib.Path) -> None:
    # A page at a time, so that not even a small file finds room.
    with file.open("wb", buffering=0) as opened, contextlib.suppress(OSError):
        while True:
            opened.write(bytes(4096))


def corrupted(how: str) -> Callable[[str, Undisturbed, pathlib.Path], dict[str, Any]]:
    """Makes the mishap in which the newest checkpoint of a killed run is damaged.

    Args:
      how: "truncated", "flipped" or "missing", what becomes of its largest file.
    """

    def mishap(run: str, known: Undisturbed, folder: pathlib.Path) -> dict[str, Any]:
        path = folder / how
        forget(path)
        with children.start(run, path) as child:
            children.until(child, lambda: any(len(children.steps(one)) > 1 for one in children.folders(path)))
            child.send_signal(signal.SIGKILL)
            children.wait(child)
        damaged = damage(path, how)
        children.finish(run, path)
        saw = next((line for line in children.said(path).splitlines() if "skipped a damaged" in line), "nothing")
        wrong = differences(known.path, path) + ([] if damaged in saw else ["the damage was not told"])
        return _row(run, f"newest checkpoint {how}", "the one before was taken", _short(saw), wrong)

    return mishap


def damage(path: pathlib.Path, how: str) -> str:
    """Damages the largest file of the newest checkpoint of which there is one before.

    Args:
      path: folder of a run.
      how: as in `corrupted`.

    Returns:
      The checkpoint's name.
    """
    found = [children.steps(folder) for folder in children.folders(path)]
    newest = max((steps[-1] for steps in found if len(steps) > 1), key=lambda step: step.stat().st_mtime)
    files = [file for file in newest.rglob("*") if file.is_file() and file.name != MANIFEST]
    largest = max(files, key=lambda file: file.stat().st_size)
    content = bytearray(largest.read_bytes())
    if how == "missing":
        largest.unlink()
    elif how == "truncated":
        largest.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 0xFF
        largest.write_bytes(content)
    return newest.name


def started_twice(run: str, known: Undisturbed, folder: pathlib.Path) -> dict[str, Any]:
    """Starts a second run into the folder of one that is under way."""
    path, other = folder / "twice", folder / "second"
    forget(path)
    forget(other)
    with children.start(run, path) as child:
        children.until(child, lambda: children.saved(path))
        # It would be over before the second one has started.
        child.send_signal(signal.SIGSTOP)
        # Another name of the same folder, so that it has a log of its own.
        other.symlink_to(path, target_is_directory=True)
        with children.start(run, other) as second:
            code = children.wait(second)
        child.send_signal(signal.SIGCONT)
        children.wait(child)
    saw = _last(other)
    other.unlink()
    wrong = differences(known.path, path) + ([] if code == 1 and str(child.pid) in saw else [f"second: {code}, {saw}"])
    return _row(run, "two runs with the same --out", "the second ended, the first went on", saw, wrong)


def diverging(run: str, known: Undisturbed, folder: pathlib.Path) -> dict[str, Any]:
    """Makes the parameters of two members NaN in the middle of a population's life."""
    del run, known
    path = folder / "diverging"
    forget(path)
    children.finish("diverging", path)
    with np.load(path / "end.npz") as end:
        wrong = [name for name in end.files if end[name].dtype.kind == "f" and not np.isfinite(end[name]).all()]
    told = [line for line in children.said(path).splitlines() if "diverged" in line]
    wrong += [] if len(told) == 2 else [f"{len(told)} members were told of"]
    return _row("pbt", "two of four members NaN", "ranked last and replaced; nothing at the end is NaN", told[0], wrong)


def _row(run: str, how: str, happened: str, saw: str, wrong: list[str]) -> dict[str, Any]:
    return {"run": run, "how": how, "happened": happened, "saw": saw, "wrong": wrong}


def _last(path: pathlib.Path) -> str:
    lines = [line for line in children.said(path).splitlines() if line.strip()]
    return _short(lines[-1]) if lines else "nothing"


def _short(line: str) -> str:
    """Returns a line without where warnings come from and where this machine keeps its files."""
    line = line.partition("UserWarning: ")[2] or line
    return re.sub(r"'/[^']*/faults/", "'", line)


MISHAPS: dict[str, Callable[[str, Undisturbed, pathlib.Path], dict[str, Any]]] = {
    "disk full": disk_full,
    **{f"{how} checkpoint": corrupted(how) for how in ("truncated", "flipped", "missing")},
    "two runs": started_twice,
    "NaN members": diverging,
}
