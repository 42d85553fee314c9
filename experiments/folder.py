"""A folder of results that is made by one run at a time and can be continued."""

import contextlib
import errno
import importlib.metadata
import json
import pathlib
import time
from collections.abc import Iterator
from typing import Any

from experiments.report import write_json
from jaxevo import checkpoint, stopping

#: Errors of the operating system that mean that nothing more fits.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class RunFolder:
    """The folder of one run: its settings, a lock, and how long each phase took.

    path: the folder.
    seconds: by phase; of a phase that was killed and continued, only the last start counts.
    """

    def __init__(self, path: pathlib.Path):
        self.path = path
        self._clock = path / "seconds.json"
        self.seconds: dict[str, float] = json.loads(self._clock.read_text()) if self._clock.exists() else {}

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Says that a phase begins, and keeps how long it took; a phase that ended before keeps its time.

        Raises:
          jaxevo.stopping.Stopped: at its end, where a signal has asked the run to stop.
        """
        print(f"{name} ...", flush=True)
        start = time.monotonic()
        yield
        self.seconds.setdefault(name, round(time.monotonic() - start, 2))
        write_json(self._clock, self.seconds)
        stopping.here()


@contextlib.contextmanager
def claim(path: pathlib.Path, settings: dict[str, Any], resume: bool) -> Iterator[RunFolder]:
    """Opens a folder for a run, and holds its lock; SIGTERM and SIGINT wait for the step under way to be saved.

    Args:
      path: the folder; made where it is missing.
      settings: what makes the run this run, as JSON can hold it.
      resume: whether the folder may hold a run of the same settings already.

    Yields:
      The folder.

    Raises:
      SystemExit: where it holds a run and `resume` is false, one of other settings or by another version of jaxevo, or
        another process has it; where it cannot be made or the disk is full; and, as `jaxevo.stopping.Stopped`, where a
        signal ended the run.
    """
    known, settings = path / "settings.json", json.loads(json.dumps(settings))
    settings["jaxevo"] = importlib.metadata.version("jaxevo")
    try:
        lock = contextlib.ExitStack()
        lock.enter_context(checkpoint.Folder(path))
    except RuntimeError as error:
        raise SystemExit(str(error)) from None
    except OSError as error:
        raise SystemExit(f"{path} cannot be used: {error}; pass another --out") from None
    with lock:
        # What a process left that was killed while it wrote.
        for leftover in path.glob(".*.json.[0-9]*"):
            leftover.unlink()
        if known.exists():
            if not resume:
                raise SystemExit(f"{path} holds a run already; pass --resume to continue it, or another --out")
            came = _settings(known)
            differing = [k for k in sorted({*came, *settings}) if came.get(k) != settings.get(k)]
            if differing:
                lines = [f"  {k}: {came.get(k)!r} there, {settings.get(k)!r} here" for k in differing]
                raise SystemExit("\n".join([f"{path} holds a run with other settings; pass another --out", *lines]))
        else:
            write_json(known, settings)
        onward = "the same command goes on from there" if resume else "--resume goes on from there"
        with _full_disks_told(onward), stopping.after_steps(onward):
            yield RunFolder(path)


@contextlib.contextmanager
def _full_disks_told(onward: str) -> Iterator[None]:
    """Says in one line that there was no room for what a run had to write."""
    try:
        yield
    except checkpoint.UnsavedError as error:
        raise SystemExit(f"{error}; {onward}") from None
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise SystemExit(f"{error}; make room, {onward}") from None


def _settings(known: pathlib.Path) -> dict[str, Any]:
    try:
        return json.loads(known.read_text())
    except ValueError as error:
        raise SystemExit(f"{known} cannot be read ({error}); pass another --out, or remove the folder") from None
