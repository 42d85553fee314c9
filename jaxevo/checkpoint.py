"""Checkpoints: any pytree of arrays with JSON metadata, written by Orbax, sealed by a checksum of our own.

Orbax writes the arrays; beside them lies `manifest.json` with the metadata, the kind of each leaf and the SHA-256 of
every file. Orbax alone restores a file that was cut in half without an error, and it refuses arrays without elements
(it waits five minutes for them first), so both are dealt with here. A checkpoint is written in a hidden folder and
renamed at the end: a process that is killed leaves the whole of it or nothing. Nothing is ever unpickled.

A `Folder` writes in the background, from a copy that `save` takes, while the run goes on.

`write` and `read` handle one checkpoint, `Folder` the numbered checkpoints of a run. Where a run has several processes
(`jax.distributed`), all of them call, process 0 writes, and all read what it wrote: the folder lies where all can see
it.
"""

import concurrent.futures
import contextlib
import datetime
import errno
import hashlib
import json
import logging
import os
import pathlib
import re
import shutil
import socket
import types
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import filelock
import jax
import jax.numpy as jnp
import numpy as np
from orbax.checkpoint import v1 as orbax

from jaxevo import hosts

PyTree = Any

ARRAYS = "arrays"
MANIFEST = "manifest.json"

#: Bytes that a checkpoint may need beside its arrays.
_MARGIN = 1 << 20


class DamagedError(ValueError):
    """A checkpoint whose files are not those that were written."""


class UnsavedError(OSError):
    """A checkpoint that could not be written; those before it are as they were."""


class Restored(NamedTuple):
    """What `Folder.restore` returns.

    step: number of the checkpoint.
    tree: its arrays.
    metadata: what was saved beside them.
    """

    step: int
    tree: PyTree
    metadata: dict


class _Content(NamedTuple):
    """A checkpoint in memory: numpy arrays, and what the manifest says beside their files."""

    arrays: PyTree
    body: dict


def write(path: str | os.PathLike, tree: PyTree, metadata: dict | None = None) -> pathlib.Path:
    """Writes one checkpoint, all or nothing.

    Args:
      path: folder to write; an older checkpoint there is replaced.
      tree: pytree of arrays (JAX or numpy, of any dtype and size, typed keys) and Python numbers, addressable from
        this process.
      metadata: whatever JSON can hold.

    Returns:
      The folder.

    Raises:
      TypeError: where a leaf is no array or number, or the metadata are not JSON.
      ValueError: where two leaves would have the same name, or the path holds something else than a checkpoint.
      UnsavedError: where it cannot be written, as on a full disk.
    """
    path = pathlib.Path(path).absolute()
    if path.exists() and not (path / MANIFEST).exists():
        raise ValueError(f"write: path {str(path)!r} exists and is no checkpoint; name another path or remove it first")
    _put(path, _packed(tree, metadata))
    return path


def read(path: str | os.PathLike, target: PyTree = None) -> tuple[PyTree, dict]:
    """Reads one checkpoint.

    Args:
      path: folder that `write` wrote.
      target: pytree whose structure the result gets (see `rebuild`); without one, dictionaries stay dictionaries,
        tuples come back as lists, NamedTuples and dataclasses as dictionaries.

    Returns:
      The tree, bit for bit (JAX arrays on the default device), and the metadata.

    Raises:
      FileNotFoundError: where there is no such folder.
      DamagedError: where a file is missing, cut or changed.
      ValueError: where the checkpoint does not fit the target.
    """
    path = pathlib.Path(path).absolute()
    if not path.is_dir():
        raise FileNotFoundError(f"read: there is no checkpoint at {str(path)!r}")
    manifest = _manifest(path)
    tree = _decode(orbax.load(str(path / ARRAYS))["tree"], manifest["leaves"])
    return (tree if target is None else rebuild(tree, target)), manifest["metadata"]


def rebuild(tree: PyTree, target: PyTree) -> PyTree:
    """Puts the leaves of a tree that was read without a target into the structure of one.

    Args:
      tree: pytree as `read` returns it.
      target: pytree with leaves of the same names; what they hold, and their shapes, do not matter.

    Returns:
      Pytree of the target's structure with the leaves of `tree`.

    Raises:
      ValueError: where names differ.
    """
    leaves = _named(tree)
    paths, structure = jax.tree_util.tree_flatten_with_path(target)
    names = [_name(path) for path, _ in paths]
    if set(names) != set(leaves):
        missing, extra = sorted(set(names) - set(leaves)), sorted(set(leaves) - set(names))
        raise ValueError(
            f"rebuild: the checkpoint does not fit the target: it lacks {missing[:5]} and has {extra[:5]} besides; "
            "restore it with the target that it was saved from"
        )
    return jax.tree.unflatten(structure, [leaves[name] for name in names])


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
        """
        refused = self._claim() if hosts.leads() else None
        if jax.process_count() > 1:
            refused = hosts.gather(refused)[0]
        if refused is not None:
            raise RuntimeError(refused)
        return self

    def _claim(self) -> str | None:
        """Takes the lock, says who holds it, and clears away leftovers; returns why it could not."""
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except filelock.Timeout:
            holder = self._holder()
            return f"Folder: {str(self.path)!r} is in use by {holder}; wait for it, stop it or name another folder"
        owner = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        _write_text(self._owner, json.dumps(owner))
        for leftover in self.path.glob(".step_*"):
            shutil.rmtree(leftover)
        for leftover in self.path.glob(f"{self._owner.name}.*"):
            leftover.unlink()
        return None

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
            self._keep(step, _packed(tree, metadata))
        else:
            self._running = self._writer.submit(self._keep, step, _packed(tree, metadata, copy=True))

    def _keep(self, step: int, content: _Content) -> None:
        """Writes a checkpoint, and removes those that it makes superfluous."""
        _put(self._at(step), content)
        if not hosts.leads():
            return
        steps = self._numbers()
        current = [number for number in steps if number <= step][-self.keep :]
        for number in set(steps) - set(current):
            _remove(self._at(number))

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


def digest(tree: PyTree) -> str:
    """Returns a SHA-256 over the names, shapes, dtypes and bytes of all leaves: equal only where all bits are."""
    arrays, entries = _encode(tree)
    total = hashlib.sha256(json.dumps(entries, sort_keys=True).encode())
    for name, array in sorted(_named(arrays).items()):
        total.update(name.encode())
        total.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return total.hexdigest()


def _packed(tree: PyTree, metadata: dict | None, *, copy: bool = False) -> _Content:
    """Refuses what cannot be saved; a copy shares nothing with the tree and the metadata."""
    arrays, leaves = _encode(tree, copy)
    try:
        body = json.loads(json.dumps({"metadata": {} if metadata is None else metadata, "leaves": leaves}))
    except TypeError as error:
        raise TypeError(f"write: metadata cannot be written as JSON ({error}); use numbers, strings, lists") from None
    return _Content(arrays, body)


def _put(path: pathlib.Path, content: _Content) -> None:
    """Writes a checkpoint; of several processes all call, Orbax and the first one write."""
    owner = os.getpid() if jax.process_count() == 1 else hosts.gather(os.getpid())[0]
    building = path.with_name(f".{path.name}.{owner}.building")

    def begin() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if building.exists():
            shutil.rmtree(building)
        building.mkdir()
        _check_room(building, content.arrays)

    def end() -> None:
        body = {**content.body, "files": _checksums(building)}
        _write_text(building / MANIFEST, json.dumps({"seal": _seal(body), "body": body}))
        doomed = _doomed(path)
        if path.exists():
            os.replace(path, doomed)
        os.replace(building, path)
        # Deleted last: it takes long, and a kill in the middle must not find neither the old nor the new.
        if doomed.exists():
            shutil.rmtree(doomed)

    try:
        hosts.first(begin)
        with _quietly():
            # The number keeps trees without any array out of Orbax's way, which it would complain about.
            orbax.save(str(building / ARRAYS), {"tree": content.arrays, "format": np.asarray(1)})
        hosts.first(end)
    except Exception as error:
        # Orbax raises what its threads met, of many kinds.
        shutil.rmtree(building, ignore_errors=True)
        raise UnsavedError(
            f"checkpoint {str(path)!r} could not be written: {_reason(error)}; those before it are as they were; see "
            "to the disk before you go on"
        ) from error


def _check_room(path: pathlib.Path, arrays: PyTree) -> None:
    """Refuses to begin on a full disk: Orbax's threads would go on after its error, and print dozens of their own."""
    needed, free = sum(array.nbytes for array in jax.tree.leaves(arrays)) + _MARGIN, shutil.disk_usage(path).free
    if free < needed:
        text = f"{os.strerror(errno.ENOSPC)} ({needed / 1e6:.1f} MB needed, {free / 1e6:.1f} MB free)"
        raise OSError(errno.ENOSPC, text)


def _reason(error: Exception) -> str:
    """Returns what the operating system said, where that is what an error, or one of Orbax, tells of."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    code = re.search(r"os_error_code='(\d+)'", str(error))
    return os.strerror(int(code[1])) if code else f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keeps Orbax from logging, with the tracebacks of three threads, the error that it raises as well."""

    def others(record: logging.LogRecord) -> bool:
        return record.levelno < logging.ERROR or "orbax" not in record.pathname

    logger = logging.getLogger("absl")
    logger.addFilter(others)
    try:
        yield
    finally:
        logger.removeFilter(others)


def _remove(path: pathlib.Path) -> None:
    # Renamed first: a folder that is half deleted must never be listed.
    doomed = _doomed(path)
    os.replace(path, doomed)
    shutil.rmtree(doomed)


def _doomed(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f".{path.name}.{os.getpid()}.removed")


def _write_text(path: pathlib.Path, text: str) -> None:
    building = path.with_name(f"{path.name}.{os.getpid()}")
    building.write_text(text)
    os.replace(building, path)


def _manifest(path: pathlib.Path) -> dict:
    try:
        sealed = json.loads((path / MANIFEST).read_text())
        body, seal = sealed["body"], sealed["seal"]
    except (FileNotFoundError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise DamagedError(f"{str(path)!r}: {MANIFEST} is missing or cut ({type(error).__name__})") from None
    if _seal(body) != seal:
        raise DamagedError(f"{str(path)!r}: {MANIFEST} does not match its checksum")
    found = _checksums(path)
    changed = sorted(name for name, checksum in body["files"].items() if found.get(name) != checksum)
    if changed:
        raise DamagedError(f"{str(path)!r}: {changed[0]} is missing or does not match its checksum")
    return body


def _seal(body: dict) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _checksums(path: pathlib.Path) -> dict[str, str]:
    found = {}
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.name != MANIFEST:
            with file.open("rb") as opened:
                found[file.relative_to(path).as_posix()] = hashlib.file_digest(opened, "sha256").hexdigest()
    return found


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _named(tree: PyTree) -> dict[str, Any]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    named = {_name(path): leaf for path, leaf in leaves}
    if len(named) != len(leaves):
        raise ValueError("write: two leaves of the tree have the same name; rename keys that contain '/'")
    return named


def _encode(tree: PyTree, copy: bool = False) -> tuple[PyTree, dict[str, dict]]:
    """Turns all leaves into numpy arrays with elements, and says by name what they were."""
    array_of = np.array if copy else np.asarray
    _named(tree)
    entries = {}

    def encode(path, leaf):
        name, entry = _name(path), {}
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            entry = {"kind": "key", "generator": str(jax.random.key_impl(leaf))}
            array = array_of(jax.random.key_data(leaf))
        elif isinstance(leaf, jax.Array | np.ndarray | np.generic):
            entry = {"kind": "jax" if isinstance(leaf, jax.Array) else "numpy"}
            array = array_of(leaf)
        elif isinstance(leaf, bool | int | float):
            entry = {"kind": "python"}
            array = np.asarray(leaf)
        else:
            raise TypeError(f"write: leaf {name!r} is {leaf!r}, expected an array or a number; put text into metadata")
        if array.dtype.hasobject or array.dtype.kind in "USMm":
            raise TypeError(f"write: leaf {name!r} has dtype {array.dtype}, expected numbers; put text into metadata")
        entries[name] = {**entry, "shape": list(array.shape), "dtype": array.dtype.name}
        return array if array.size else np.zeros((1,), array.dtype)

    return jax.tree_util.tree_map_with_path(encode, tree), entries


def _decode(tree: PyTree, entries: dict[str, dict]) -> PyTree:
    def decode(path, array):
        entry = entries[_name(path)]
        if 0 in entry["shape"]:
            array = np.zeros(entry["shape"], array.dtype)
        if entry["kind"] == "key":
            return jax.random.wrap_key_data(jnp.asarray(array), impl=entry["generator"])
        if entry["kind"] == "python":
            return array.item()
        if entry["kind"] == "numpy":
            return array
        if jnp.asarray(array[:0] if array.ndim else array).dtype != array.dtype:
            raise ValueError(f"read: leaf {_name(path)!r} has dtype {array.dtype}; enable jax_enable_x64 to read it")
        return jnp.asarray(array)

    return jax.tree_util.tree_map_with_path(decode, tree)
