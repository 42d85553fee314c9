"""Batches in step: each behind the one before, the same sums whatever the threads, and errors that come out."""

import threading
import time

import pytest

from jaxevo.evaluation.steps import in_step


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_step_is_taken_in_the_order_of_the_batches(threads):
    taken, lock = [], threading.Lock()

    def work(batch, steps):
        for step in steps:
            time.sleep(0.002 * ((batch + step) % 3))
            with lock:
                taken.append((batch, step))

    in_step(work, 5, 4, threads)
    assert sorted(taken) == [(batch, step) for batch in range(5) for step in range(4)]
    for step in range(4):
        assert [batch for batch, at in taken if at == step] == list(range(5))


def test_batches_run_beside_each_other():
    both = threading.Barrier(2, timeout=30)

    def work(batch, steps):
        for step in steps:
            # Batch 1 takes its step 0 while batch 0 takes step 1.
            if step == 1 - batch:
                both.wait()

    in_step(work, 2, 2, 2)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_first_error_comes_out_and_nobody_waits_for_ever(threads):
    def work(batch, steps):
        for step in steps:
            if batch > 0 and step == 1:
                raise ValueError(f"batch {batch}")

    with pytest.raises(ValueError, match="batch 1"):
        in_step(work, 4, 3, threads)
