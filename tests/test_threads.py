"""Work in step: each piece behind the one before, the same bits whatever the threads, and errors that come out."""

import threading
import time

import jax
import numpy as np
import pytest

from jaxevo import evaluation, subspace, threads
from jaxevo.evaluation import memory, sharing
from jaxevo.threads import in_step
from tests.networks import build
from tests.stitching.merging import examples


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_step_is_taken_in_the_order_of_the_pieces(count):
    taken, lock = [], threading.Lock()

    def work(batch, steps):
        for step in steps:
            time.sleep(0.002 * ((batch + step) % 3))
            with lock:
                taken.append((batch, step))

    in_step(work, 5, 4, count)
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


@pytest.mark.parametrize("count", [1, 2])
def test_the_first_error_comes_out_and_nobody_waits_for_ever(count):
    def work(batch, steps):
        for step in steps:
            if batch > 0 and step == 1:
                raise ValueError(f"batch {batch}")

    with pytest.raises(ValueError, match="batch 1"):
        in_step(work, 4, 3, count)


@pytest.mark.parametrize("way", ["shared", "apart", "map"])
def test_scores_are_the_same_bits_whatever_is_done_at_once(monkeypatch, way):
    space = subspace.partition(build(0, 4, ("plain",)), 3, 0.1, granularity="layer")
    genomes, metrics = space.sample(jax.random.key(0), 5), [evaluation.accuracy, -evaluation.nll]

    def score(at_once):
        for module in (memory, sharing):
            monkeypatch.setattr(module, "at_once", lambda mesh, each: at_once)
        if way == "shared":
            evaluate = evaluation.shared(space, examples(44), metrics, batch=20)
        else:
            evaluate = evaluation.population(
                space, examples(44), metrics, batch=20, layout=way, chunk=1 + (way == "map")
            )
        return np.asarray(evaluate(None, space.params, genomes)[1])

    one = score(1)
    assert len(np.unique(one[:, 1])) == 5
    for at_once in (2, 3):
        np.testing.assert_array_equal(score(at_once), one)


def test_what_a_context_sets_for_a_thread_keeps_work_in_it():
    mesh = evaluation.mesh()
    assert threads.are_alike()
    for context in (jax.default_matmul_precision("float32"), jax.transfer_guard("disallow"), jax.debug_nans(True)):
        with context:
            assert not threads.are_alike()
            assert memory.at_once(mesh, 1) == 1
    one_cpu = mesh.size == 1 and mesh.devices.flat[0].platform == "cpu"
    assert memory.at_once(mesh, 1) == (min(memory.AT_ONCE, threads.processors()) if one_cpu else 1)
    assert memory.at_once(mesh, 2**60) == 1
