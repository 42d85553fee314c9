"""The numbered checkpoints of a run: a lock, saves in the background, and a way back from a damaged newest one."""

import concurrent.futures
import datetime
import json
import os
import pathlib
import shutil
import socket
import types
import warnings
from typing import Any, NamedTuple

import filelock
import jax

from jaxevo import hosts
from jaxevo.checkpoint.files import Content, DamagedError, packed, put, read, remove, write_text

PyTree = Any


class Restored(NamedTuple):
    """What `Folder.restore` returns.

    step: number of the checkpoint.
    tree: its arrays.
    metadata: what was saved beside them.
    """

    step: int
    tree: PyTree
    metadata: dict


class Folder:
    """The numbered checkpoints of one run, of which the newest few are kept.

    Use it as a context manager to write: it holds a lock on the folder, which the operating system releases when the
    process ends, however it ends. Of several processes the first holds it for all.

    Args:
      path: the folder; made on entering.
      keep: how many checkpoints to keep, at least 2 so that one may be damaged.

    Raises:
      ValueError: where `keep` is less than 2.
      RuntimeError: on entering, where another process holds the lock.
      OSError: on entering, where it cannot be made or written to; of several processes all others than the first get
        this one, whatever the first met.
    """

    def __init__(self, path: str | os.PathLike, keep: int = 2):
        if keep < 2:
            raise ValueError(f"Folder: keep is {keep}, expected at least 2 so that a damaged checkpoint can be skipped")
        self.path = pathlib.Path(path).absolute()
        self.keep = keep
        self._lock = filelock.FileLock(self.path / ".lock", timeout=0)
        self._owner = self.path / ".owner.json"
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._running: concurrent.futures.Future | None = None

    def __enter__(self) -> "Folder":
        """Takes the lock and clears away what a killed process left.

        Raises:
          RuntimeError: where another run holds the lock; says which process.
          OSError: as above.
        """
        hosts.first(self._claim)
        return self

    def _claim(self) -> None:
        """Takes the lock, says who holds it, and clears away leftovers."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise NotADirectoryError(
                f"Folder: {str(self.path)!r} is no folder and none can be made there; name another"
            ) from None
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise RuntimeError(
                f"Folder: {str(self.path)!r} is in use by {self._holder()}; wait for it, stop it or name another folder"
            ) from None
        owner = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        write_text(self._owner, json.dumps(owner))
        for leftover in self.path.glob(".step_*"):
            shutil.rmtree(leftover)
        for leftover in self.path.glob(f"{self._owner.name}.*"):
            leftover.unlink()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: types.TracebackType | None
    ) -> None:
        """Waits for the last save, and releases the lock.

        Raises:
          UnsavedError: where that save failed.
        """
        try:
            self.wait()
        finally:
            self._lock.release()

    def steps(self) -> list[int]:
        """Returns the numbers of the checkpoints, oldest first, damaged ones included; waits for a save under way."""
        self.wait()
        return self._numbers()

    def wait(self) -> None:
        """Waits for a save under way.

        Raises:
          UnsavedError: where it failed.
        """
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def _numbers(self) -> list[int]:
        names = (entry.name.removeprefix("step_") for entry in self.path.glob("step_*"))
        return sorted(int(name) for name in names if name.isdigit())

    def save(self, step: int, tree: PyTree, metadata: dict | None = None) -> None:
        """Saves a checkpoint, in place of one of the same or a higher number (which had been skipped as damaged).

        It is written in the background: what becomes of the tree afterwards does not matter. An error that this meets
        is raised by the next call, or on leaving the folder.

        Args:
          step: its number, at least 0.
          tree, metadata: as in `write`.

        Raises:
          RuntimeError: where the lock is not held.
          TypeError, ValueError: as in `write`.
          UnsavedError: where the save before failed.
        """
        if hosts.leads() and not self._lock.is_locked:
            raise RuntimeError(
                f"Folder.save: {str(self.path)!r} is not locked; save inside `with Folder(path) as folder:`"
            )
        self.wait()
        if jax.process_count() > 1:
            # Orbax lets processes wait for each other, which has to happen in the same order in all of them.
            self._keep(step, packed(tree, metadata))
        else:
            self._running = self._writer.submit(self._keep, step, packed(tree, metadata, copy=True))

    def _keep(self, step: int, content: Content) -> None:
        """Writes a checkpoint, and removes those that it makes superfluous."""
        put(self._at(step), content)
        if not hosts.leads():
            return
        steps = self._numbers()
        current = [number for number in steps if number <= step][-self.keep :]
        for number in set(steps) - set(current):
            remove(self._at(number))

    def restore(self, target: PyTree = None) -> Restored | None:
        """Restores the newest checkpoint that is whole, with a warning for each damaged one that it skips.

        Args:
          target: as in `read`.

        Returns:
          The checkpoint, or None where the folder has none.

        Raises:
          DamagedError: where there are checkpoints but none is whole.
          ValueError: where the checkpoint does not fit the target, or processes do not see the same one.
        """
        found = self._newest(target)
        hosts.agree(f"checkpoints of {str(self.path)!r}", step=None if found is None else found.step)
        return found

    def _newest(self, target: PyTree) -> Restored | None:
        steps = self.steps()
        for step in reversed(steps):
            try:
                tree, metadata = read(self._at(step), target)
            except DamagedError as error:
                warnings.warn(f"skipped a damaged checkpoint: {error}", stacklevel=2)
                continue
            return Restored(step, tree, metadata)
        if steps:
            raise DamagedError(
                f"Folder.restore: none of the checkpoints {steps} in {str(self.path)!r} is whole; "
                "remove the folder to start again"
            )
        return None

    def _at(self, step: int) -> pathlib.Path:
        return self.path / f"step_{step:08d}"

    def _holder(self) -> str:
        try:
            owner = json.loads(self._owner.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return "another process, which has not yet said who it is"
        return f"process {owner['pid']} on {owner['host']} since {owner['since']}"
