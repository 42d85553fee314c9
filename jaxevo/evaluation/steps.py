"""Work that takes the same steps several times, such as for each batch of examples, some of it at once on a CPU.

A program that is run by itself leaves processors idle wherever one of its operations is too small for all of them.
"""

import concurrent.futures
import threading
from collections.abc import Callable, Iterator

from jax.sharding import Mesh

from jaxevo.devices import processors, threads_are_alike
from jaxevo.evaluation.memory import available_bytes

#: What is done at once, at most: more takes memory and is no faster.
AT_ONCE = 4


def at_once(mesh: Mesh, each: int) -> int:
    """Returns how much of the work is done at once.

    Args:
      mesh: the devices. Accelerators fill themselves, and programs of several devices have to start in one order.
      each: bytes that each piece of the work needs.

    Returns:
      As many as there are processors and room for, at most `AT_ONCE`, where the mesh is one CPU; else 1.
    """
    device = mesh.devices.flat[0]
    if device.platform != "cpu" or mesh.size > 1 or not threads_are_alike():
        return 1
    available = available_bytes(device)
    fitting = AT_ONCE if available is None else available // max(each, 1)
    return max(1, min(AT_ONCE, processors(), fitting))


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
