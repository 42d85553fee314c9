"""How much memory a program will need, said before it is compiled, and how much there is."""

import math
import os
import pathlib
from typing import Any

import jax
from jax.extend import core
from jax.sharding import Mesh

from jaxevo import threads

PyTree = Any

#: What a CPU does at once, at most: more takes memory and is no faster.
AT_ONCE = 4

#: A `jax.Device`, which type checkers take for a variable.
Device = Any


def tree_bytes(tree: PyTree) -> int:
    """Returns the size in bytes of all arrays or `ShapeDtypeStruct`s of a pytree."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def peak_bytes(closed: core.ClosedJaxpr) -> int:
    """Estimates the memory that a traced program needs beside its arguments.

    The most that is alive at once, each intermediate from the equation that makes it to its last reader. Compilers
    fuse, so this is rather too much; they also keep scratch space, so it is not a bound.

    Args:
      closed: the traced program.

    Returns:
      Bytes, captured constants included.
    """
    return tree_bytes([value for value in closed.consts if hasattr(value, "dtype")]) + _peak(closed.jaxpr)


def available_bytes(device: Device) -> int | None:
    """Returns the free memory of a device in bytes, None where the platform does not tell."""
    if device.platform != "cpu":
        stats = device.memory_stats()
        return None if not stats or "bytes_limit" not in stats else stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    # The kernel's own estimate counts caches that it would give up; sysconf knows only pages that nobody uses.
    meminfo = pathlib.Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    if {"SC_PAGE_SIZE", "SC_AVPHYS_PAGES"} <= os.sysconf_names.keys():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    return None


def check_memory(where: str, needed: int, devices: list[Device], advice: str) -> None:
    """Refuses work that will not fit.

    Args:
      where: whose work it is, the start of the message.
      needed: bytes on each device.
      devices: the devices of this process; those of platform "cpu" share one memory.
      advice: what to do about it, the end of the message.

    Raises:
      ValueError: where more is needed than there is.
    """
    available = available_bytes(devices[0])
    total = needed * len(devices) if devices[0].platform == "cpu" else needed
    if available is not None and total > available:
        raise ValueError(
            f"{where}: expects to need {total / 2**30:.2f} GiB, but {available / 2**30:.2f} GiB are available; {advice}"
        )


def at_once(mesh: Mesh, each: int) -> int:
    """Returns how many pieces of work are done at once, each on a thread.

    Args:
      mesh: the devices. Accelerators fill themselves, and programs of several devices have to start in one order.
      each: bytes that each piece needs.

    Returns:
      As many as there are processors and room for, at most `AT_ONCE`, where the mesh is one CPU; else 1.
    """
    device = mesh.devices.flat[0]
    if device.platform != "cpu" or mesh.size > 1 or not threads.are_alike():
        return 1
    available = available_bytes(device)
    fitting = AT_ONCE if available is None else available // max(each, 1)
    return max(1, min(AT_ONCE, threads.processors(), fitting))


def _peak(jaxpr: core.Jaxpr) -> int:
    last = {var: index for index, eqn in enumerate(jaxpr.eqns) for var in eqn.invars if isinstance(var, core.Var)}
    last |= {var: len(jaxpr.eqns) for var in jaxpr.outvars if isinstance(var, core.Var)}
    dying: dict[int, list[core.Var]] = {}
    alive = peak = 0
    for index, eqn in enumerate(jaxpr.eqns):
        inner = max((_peak(sub) for value in eqn.params.values() for sub in _jaxprs(value)), default=0)
        made = [var for var in eqn.outvars if var in last]
        for var in made:
            dying.setdefault(last[var], []).append(var)
        scratch = tree_bytes([var.aval for var in eqn.outvars if var not in last])
        alive += tree_bytes([var.aval for var in made])
        peak = max(peak, alive + max(inner, scratch))
        alive -= tree_bytes([var.aval for var in dying.pop(index, [])])
    return peak


def _jaxprs(value: Any) -> list[core.Jaxpr]:
    """Returns the programs held in a parameter of an equation."""
    if isinstance(value, core.ClosedJaxpr):
        # Since jax 0.12 the open and the closed kind are one class, and this is the program itself.
        return [value.jaxpr]
    if isinstance(value, core.Jaxpr):
        return [value]
    if isinstance(value, tuple | list):
        return [jaxpr for part in value for jaxpr in _jaxprs(part)]
    return []
