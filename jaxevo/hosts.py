"""Processes of one run, on one or several hosts: which of them writes, whether they agree, and what each does.

All processes run the same program on the same arguments (`jax.distributed`): the state of a search lies whole in each
of them, what is heavy is spread over the devices of all. So nothing is sent but scores, and process 0 alone writes.
"""

import json
import socket
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh


def leads() -> bool:
    """Returns whether this process is the one that writes."""
    return jax.process_index() == 0


def wait(what: str) -> None:
    """Waits until every process has come here.

    Args:
      what: name of the place, for the error where processes wait at different ones.
    """
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def first(act: Callable[[], None]) -> None:
    """Does something in process 0 while the others wait.

    Args:
      act: what to do.

    Raises:
      OSError: in the others, where it failed in process 0, which raises what it met.
    """
    failed = None
    if leads():
        try:
            act()
        except Exception as error:
            failed = error
    if jax.process_count() > 1:
        said = gather(None if failed is None else f"{type(failed).__name__}: {failed}")[0]
        if said is not None and not leads():
            raise OSError(f"process 0 met {said}")
    if failed is not None:
        raise failed


def agree(where: str, **values: Any) -> None:
    """Refuses to go on where processes were given different values.

    Args:
      where: what asks, for the error.
      **values: what has to be the same in every process, as JSON can hold it. Every process has to ask.

    Raises:
      ValueError: in every process, where one of them has another value.
    """
    if jax.process_count() == 1:
        return
    said = gather(values)
    for name in values:
        found = [one.get(name) for one in said]
        differing = next((index for index, value in enumerate(found) if value != found[0]), None)
        if differing is not None:
            raise ValueError(
                f"{where}: {name} is {found[0]!r} in process 0 and {found[differing]!r} in process {differing}; "
                "start all processes with the same program, arguments and data"
            )


def gather(value: Any) -> list[Any]:
    """Returns what each process has, in order of processes.

    Args:
      value: of this process, as JSON can hold it.
    """
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    lengths = multihost_utils.process_allgather(np.int32(len(text)), tiled=False).reshape(-1)
    padded = np.pad(text, (0, int(lengths.max()) - len(text)))
    rows = multihost_utils.process_allgather(padded, tiled=False).reshape(len(lengths), -1)
    return [json.loads(bytes(row[:length])) for row, length in zip(np.asarray(rows), lengths, strict=True)]


def own(count: int) -> list[int]:
    """Returns which of a number of tasks this process does where each is done by one.

    As many in every process: the last ones are done by two where they do not divide. `exchange` knows.

    Args:
      count: number of tasks, at least 1.
    """
    processes = jax.process_count()
    return [task % count for task in range(jax.process_index(), -(-count // processes) * processes, processes)]


def exchange(found: list[Any], count: int) -> Any:
    """Returns what all processes found, stacked in order of tasks, on the host.

    Args:
      found: pytrees of arrays, of this process, one for each of `own(count)`.
      count: number of tasks.

    Returns:
      Pytree of arrays [count, ...].
    """
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *found)
    if jax.process_count() == 1:
        return stacked
    everywhere = multihost_utils.process_allgather(stacked, tiled=False)
    return jax.tree.map(lambda leaf: np.swapaxes(leaf, 0, 1).reshape(-1, *leaf.shape[2:])[:count], everywhere)


def fetch(tree: Any) -> Any:
    """Returns arrays on the host, whole in every process, wherever their parts lie.

    Args:
      tree: pytree of arrays of JAX.
    """
    if all(leaf.is_fully_addressable or leaf.is_fully_replicated for leaf in jax.tree.leaves(tree)):
        return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)


def describe(mesh: Mesh) -> str:
    """Says in one line what this process does.

    Args:
      mesh: with axes ("pop", "data").

    Returns:
      Its number, host and devices, and which rows of the mesh, with their share of members, are its own.
    """
    own = jax.process_index()
    rows = [row for row, devices in enumerate(mesh.devices) if any(device.process_index == own for device in devices)]
    share = f"rows {rows[0]} to {rows[-1]} of {len(mesh.devices)} on axis 'pop'" if rows else "no row of axis 'pop'"
    return (
        f"process {own} of {jax.process_count()} on {socket.gethostname()}: {jax.local_device_count()} of "
        f"{jax.device_count()} {jax.default_backend()} devices, {share}; "
        + ("writes the results" if leads() else "writes nothing")
    )
