"""Threads, on which a CPU does several things at once.

A program that is run by itself leaves processors idle wherever one of its operations is too small for all of them.
"""

import concurrent.futures
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax

#: Settings of JAX that change what a program computes or is allowed, and that a context sets for one thread alone.
_SETTINGS = (
    "jax_debug_infs", "jax_debug_nans", "jax_default_device", "jax_default_matmul_precision", "jax_default_prng_impl",
    "jax_disable_jit", "jax_enable_x64", "jax_numpy_dtype_promotion", "jax_numpy_rank_promotion",
    "jax_threefry_partitionable", "jax_transfer_guard_device_to_device", "jax_transfer_guard_device_to_host",
    "jax_transfer_guard_host_to_device",
)  # fmt: skip


def processors() -> int:
    """Returns how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def are_alike() -> bool:
    """Returns whether JAX would do in another thread what it does in this one.

    Inside of a context such as `jax.default_matmul_precision("float32")` it would not, and work has to stay here.
    """
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(_settings).result() == _settings()


def _settings() -> list[Any]:
    return [getattr(jax.config, name) for name in _SETTINGS]


def in_step(work: Callable[[int, Iterator[int]], None], pieces: int, steps: int, threads: int) -> None:
    """Does all pieces of the work, each of the same steps.

    A piece takes a step once the one before it has taken that: what a step compiles is compiled once, and what it adds
    to is added to in the order of the pieces, so that results have the same bits whatever the number of threads.

    Args:
      work: `(piece, indices of the steps) -> None`; takes a step for each index that it is given.
      pieces, steps: how many there are.
      threads: how many pieces at a time, at least 1.

    Raises:
      Exception: the first one, in order of the pieces, that work raised.
    """
    reached, changed = [0] * pieces, threading.Condition()

    def mark(piece: int, step: int) -> None:
        with changed:
            reached[piece] = step
            changed.notify_all()

    def turns(piece: int) -> Iterator[int]:
        for step in range(steps):
            with changed:
                changed.wait_for(lambda step=step: piece == 0 or reached[piece - 1] > step)
            yield step
            mark(piece, step + 1)

    def run(piece: int) -> None:
        try:
            work(piece, turns(piece))
        finally:
            # Those behind one that failed would wait for it.
            mark(piece, steps)

    if threads == 1:
        for piece in range(pieces):
            run(piece)
        return
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, range(pieces)))
