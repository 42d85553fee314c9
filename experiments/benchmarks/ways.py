"""Four ways to score the same networks of a space of switches.

Each way starts from nothing, in a process of its own, and scores the same images in batches of the same size by the
same metrics. Its compile seconds are a first call minus a second one on the same few networks, which together use every
segment; its run seconds are one call on all networks after that. The published way compiles each network ahead of its
first run, so that the two are timed apart.
"""

import dataclasses
import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxevo import evaluation, graph
from jaxevo.data import Split
from jaxevo.evaluation.metrics import tally
from jaxevo.space import Space, Work
from jaxevo.stitching import Merged, switches

METRICS = (evaluation.accuracy, -evaluation.nll)

#: Networks of the published way that are timed; each takes a compilation of its own.
TIMED = 32


class Problem(NamedTuple):
    """What is scored.

    merged: the merged network.
    genomes: canonical genomes of the n distinct networks, int [n, G].
    cover: as many of them as it takes to use every segment that any of them uses.
    split: the images.
    batch: images at a time.
    """

    merged: Merged
    genomes: np.ndarray
    cover: np.ndarray
    split: Split
    batch: int


class Timing(NamedTuple):
    """What a way took.

    compile, run: seconds.
    memory: bytes by which the process's peak grew from before the first call to the end.
    segments: executions of segments on batches.
    which: indices of the networks that were scored, all or those that were timed.
    fitness: accuracy and negative log-likelihood of each, [len(which), 2].
    """

    compile: float
    run: float
    memory: int
    segments: int
    which: np.ndarray
    fitness: np.ndarray


def per_network(problem: Problem) -> Timing:
    """One compiled program per network, the published way.

    Networks are taken out of the merged one as they are: linear layers that follow each other are not merged, so that
    all ways do the same arithmetic. `TIMED` networks are drawn at random and multiplied. Each program is compiled ahead
    of its first run and let go after its last.
    """
    space, before = switches(problem.merged), begin_memory()
    n = len(problem.genomes)
    which = np.sort(np.random.default_rng(0).permutation(n)[:TIMED])
    metrics, batches = tally(space, METRICS), _batches(problem)
    update, finish = jax.jit(metrics.update), jax.jit(metrics.finish)
    like = problem.merged.parents[0].network
    compiled, ran, segments, fitness = 0.0, 0.0, 0, []
    for genome in problem.genomes[which]:
        begin = time.monotonic()
        network = graph.extract(problem.merged.graph, space.params, genome, like, merge=False)
        params = jax.device_put(network.params)
        program = jax.jit(network.apply).lower(params, batches[0][0]).compile()
        middle = time.monotonic()
        state = metrics.init()
        for inputs, labels, mask in batches:
            state = update(state, program(params, inputs), labels, mask)
        fitness.append(np.asarray(finish(state, genome)))
        ran += time.monotonic() - middle
        compiled += middle - begin
        segments += len(batches) * len(problem.merged.graph.path(genome))
    share = n / len(which)
    memory = peak_bytes() - before
    return Timing(compiled * share, ran * share, memory, round(segments * share), which, np.array(fitness))


def masked(problem: Problem) -> Timing:
    """One program that computes every segment and lets the genome select."""
    space, before = switches(problem.merged), begin_memory()
    evaluate = evaluation.population(space, problem.split, METRICS, batch=problem.batch)
    compiled, ran, fitness = _timed(lambda genomes: evaluate(None, space.params, genomes)[1], problem)
    segments = len(problem.merged.graph.segments) * len(problem.genomes) * -(-len(problem.split) // problem.batch)
    return Timing(compiled, ran, peak_bytes() - before, segments, np.arange(len(problem.genomes)), fitness)


def segments(problem: Problem) -> Timing:
    """Compiled segments, every network's its own: a number in each step makes no two networks' work equal."""
    space = switches(problem.merged)
    assert space.work is not None
    plan, numbers = space.work.plan, {genome.tobytes(): i for i, genome in enumerate(problem.genomes)}

    def alone(genome):
        return tuple(step._replace(variant=(numbers[np.asarray(genome).tobytes()],)) for step in plan(genome))

    return _by_segments(dataclasses.replace(space, work=Work(space.work.segments, alone)), problem)


def shared(problem: Problem) -> Timing:
    """Compiled segments, each distinct piece of work once: `evaluation.shared` as it is."""
    return _by_segments(switches(problem.merged), problem)


WAYS: dict[str, Callable[[Problem], Timing]] = {
    "per_network": per_network,
    "masked": masked,
    "segments": segments,
    "shared": shared,
}


def _by_segments(space: Space, problem: Problem) -> Timing:
    before = begin_memory()
    evaluate = evaluation.shared(space, problem.split, METRICS, batch=problem.batch)
    nothing = evaluate.memory

    def score(genomes):
        # Networks that were scored before would not be run again.
        evaluate.restore(nothing)
        return evaluate(None, space.params, genomes)[1]

    compiled, ran, fitness = _timed(score, problem)
    runs = evaluate.report()["segment_runs"]
    return Timing(compiled, ran, peak_bytes() - before, runs, np.arange(len(problem.genomes)), fitness)


def _timed(score: Callable[[np.ndarray], Any], problem: Problem) -> tuple[float, float, np.ndarray]:
    """Returns compile seconds, run seconds, and the fitness of all networks."""
    seconds, fitness = [], np.zeros(0)
    for genomes in (problem.cover, problem.cover, problem.genomes):
        begin = time.monotonic()
        fitness = np.asarray(jax.block_until_ready(score(genomes)))
        seconds.append(time.monotonic() - begin)
    return seconds[0] - seconds[1], seconds[2], fitness


def _batches(problem: Problem) -> list[tuple]:
    """Returns (inputs, labels, mask) of each batch on the device; what fills up the last one does not count."""
    found = []
    for first in range(0, len(problem.split), problem.batch):
        rows = np.arange(first, first + problem.batch)
        inside = np.minimum(rows, len(problem.split) - 1)
        found.append((problem.split.inputs[inside], problem.split.labels[inside], rows < len(problem.split)))
    return jax.device_put(found)


def begin_memory() -> int:
    """Returns how many bytes this process has, and lets Linux count its peak from now on."""
    # Not getrusage: its peak outlives exec, so that a child begins with that of its parent.
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    return _status_bytes("VmRSS")


def peak_bytes() -> int:
    """Returns the most bytes that this process has had since `begin_memory`."""
    return _status_bytes("VmHWM")


def _status_bytes(field: str) -> int:
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))
