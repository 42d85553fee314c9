"""One checkpoint: its files, written all or nothing, sealed by a checksum, and read back."""

import contextlib
import errno
import hashlib
import json
import logging
import os
import pathlib
import re
import shutil
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from orbax.checkpoint import v1 as orbax

from jaxevo import hosts
from jaxevo.checkpoint.leaves import decoded, encoded, rebuild

PyTree = Any

ARRAYS = "arrays"
MANIFEST = "manifest.json"

#: Bytes that a checkpoint may need beside its arrays.
_MARGIN = 1 << 20


class DamagedError(ValueError):
    """A checkpoint whose files are not those that were written."""


class UnsavedError(OSError):
    """A checkpoint that could not be written; those before it are as they were."""


class Content(NamedTuple):
    """A checkpoint in memory: numpy arrays, and what the manifest says beside their files."""

    arrays: PyTree
    body: dict


def write(path: str | os.PathLike, tree: PyTree, metadata: dict | None = None) -> pathlib.Path:
    """Writes one checkpoint, all or nothing.

    An older one is moved aside before the new one takes its place: killed between these two moves, it lies beside as
    `.NAME.PID.removed`, and can be moved back.

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
    put(path, packed(tree, metadata))
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
    tree = decoded(orbax.load(str(path / ARRAYS))["tree"], manifest["leaves"])
    return (tree if target is None else rebuild(tree, target)), manifest["metadata"]


def packed(tree: PyTree, metadata: dict | None, *, copy: bool = False) -> Content:
    """Refuses what cannot be saved; a copy shares nothing with the tree and the metadata."""
    arrays, leaves = encoded(tree, copy)
    try:
        body = json.loads(json.dumps({"metadata": {} if metadata is None else metadata, "leaves": leaves}))
    except TypeError as error:
        raise TypeError(f"write: metadata cannot be written as JSON ({error}); use numbers, strings, lists") from None
    return Content(arrays, body)


def put(path: pathlib.Path, content: Content) -> None:
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
        write_text(building / MANIFEST, json.dumps({"seal": _seal(body), "body": body}))
        doomed = _doomed(path)
        if path.exists():
            os.replace(path, doomed)
        os.replace(building, path)
        # Deleted last, as it takes long.
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


def remove(path: pathlib.Path) -> None:
    """Deletes a checkpoint."""
    # Renamed first: a folder that is half deleted must never be listed.
    doomed = _doomed(path)
    os.replace(path, doomed)
    shutil.rmtree(doomed)


def _doomed(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f".{path.name}.{os.getpid()}.removed")


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a file, all or nothing."""
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
