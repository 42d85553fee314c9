"""A small run of a population whose architectures change.

`python -m tests.pbt.runs FOLDER GENERATION...` runs it to each of these generations, with a checkpoint in the folder
that it copies after each, and prints how many programs JAX's persistent cache knew and did not know.
"""

import functools
import pathlib
import shutil
import sys

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import optax

from jaxevo import data, evaluation, pbt, search, training

POPULATION = 4
RNG = np.random.default_rng(0)
TRAIN, VALID = (
    data.Split(RNG.normal(size=(count, 4, 4, 1)).astype(np.float32), RNG.integers(0, 3, count).astype(np.int32))
    for count in (16, 8)
)


@functools.cache
def architecture() -> pbt.Architecture:
    """Returns a small architecture with every kind of choice."""
    return pbt.chain(
        [
            pbt.Convolution("first", 1, ("conv1", "conv3", "skip"), (2, 3), normalisations=("none", "batch")),
            pbt.Convolution("second", 3, ("conv3", "dilated3"), (3, 2), ("relu", "tanh"), skips=(False, True)),
            pbt.Plain("mean", lambda x: x.mean((1, 2))),
            pbt.Dense("classes", 3, (3,)),
        ],
        jax.ShapeDtypeStruct((4, 4, 1), jnp.float32),
    )


@functools.cache
def parts(compact: bool):
    """Returns the strategy and what its evaluation is made of."""
    space = pbt.layers(architecture(), probability=0.5)
    learner = training.learner(space, training.cross_entropy, optax.adam(0.01))
    ways = {"compact": True, "layout": "steps"} if compact else {"compact": False, "layout": "abreast"}
    fit = training.population(space, learner, TRAIN, epochs=1, batch=8, threads=1, **ways)
    return search.replace_worst(space, POPULATION, 0.5, begin=learner.begin), fit


def go(compact: bool, generations: int, callback=None, checkpoint=None) -> search.Result:
    """Runs the population; see `search.run`."""
    strategy, fit = parts(compact)
    evaluate = evaluation.after(fit, VALID, [evaluation.accuracy])
    return search.run(
        jax.random.key(5), strategy, evaluate, generations, progress=False, callback=callback, checkpoint=checkpoint
    )


def main() -> None:
    """Runs it and counts."""
    folder = pathlib.Path(sys.argv[1])
    counts = {"hits": 0, "misses": 0}

    def count(event: str, **_) -> None:
        for name in counts:
            counts[name] += event == f"/jax/compilation_cache/cache_{name}"

    jax.monitoring.register_event_listener(count)
    for generations in map(int, sys.argv[2:]):
        go(True, generations, checkpoint=folder)
        shutil.copytree(folder, folder.with_name(f"{folder.name}-{generations}"))
    print(counts["hits"], counts["misses"])


if __name__ == "__main__":
    main()
