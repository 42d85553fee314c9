"""Batches that take the same steps beside each other, each behind the one before it."""

import concurrent.futures
import threading
from collections.abc import Callable, Iterator


def in_step(work: Callable[[int, Iterator[int]], None], batches: int, steps: int, threads: int) -> None:
    """Does the same steps for every batch, some batches at a time.

    A batch takes a step once the one before it has taken that: what a step compiles is compiled once, and what it adds
    to is added to in the order of the batches, so that results have the same bits whatever the number of threads.

    Args:
      work: `(batch, indices of the steps) -> None`; takes a step for each index that it is given.
      batches, steps: how many there are.
      threads: how many batches at a time, at least 1.

    Raises:
      Exception: the first one, in order of the batches, that work raised.
    """
    reached, changed = [0] * batches, threading.Condition()

    def mark(batch: int, step: int) -> None:
        with changed:
            reached[batch] = step
            changed.notify_all()

    def turns(batch: int) -> Iterator[int]:
        for step in range(steps):
            with changed:
                changed.wait_for(lambda step=step: batch == 0 or reached[batch - 1] > step)
            yield step
            mark(batch, step + 1)

    def run(batch: int) -> None:
        try:
            work(batch, turns(batch))
        finally:
            # Those behind one that failed would wait for it.
            mark(batch, steps)

    if threads == 1:
        for batch in range(batches):
            run(batch)
        return
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, range(batches)))
