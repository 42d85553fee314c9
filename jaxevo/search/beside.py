"""`repeated`: several runs of a strategy beside each other, their genomes evaluated together.

r is the number of runs, n the size of the population of each.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxevo.programs import fold_in
from jaxevo.search import pareto
from jaxevo.search.strategy import Scored, Strategy, check_count, concatenate, on_host, select, size

PyTree = Any


class RepeatedState(NamedTuple):
    """The states of runs beside each other.

    genomes, fitness: of all populations, run after run, [r * n, ...].
    generation: how many generations each has seen, 0-d.
    runs: the state of each.
    """

    genomes: PyTree
    fitness: np.ndarray
    generation: Any
    runs: tuple[Any, ...]

    @property
    def archive(self) -> Scored:
        """What the archives of all runs hold.

        Raises:
          AttributeError: where they keep none, as for their own states.
        """
        archives = [one.archive for one in self.runs]
        genomes = concatenate([on_host(one.genomes) for one in archives])
        return Scored(genomes, np.concatenate([np.asarray(one.fitness) for one in archives]))


def repeated(strategy: Strategy, runs: int) -> Strategy:
    """Runs a strategy several times at once, so that what each asks for is evaluated, and trained, together.

    A steady state asks for two genomes at a time, which leave a device idle; ten repetitions ask for twenty. The runs
    share nothing else: run i draws from `fold_in(key, i)`. `fronts(result)` tells them apart again.

    Args:
      strategy: one that always asks for equally many genomes, whatever it was told.
      runs: r, how many, at least 2.

    Returns:
      A host strategy of population r * n.

    Raises:
      TypeError, ValueError: where an argument is not as above.
    """
    if not isinstance(strategy, Strategy):
        raise TypeError(
            f"repeated: strategy is {strategy!r}, expected one of jaxevo.search, such as search.nsga2(space)"
        )
    runs = check_count("repeated", "runs", runs, 2)

    def joined(states: list[Any]) -> RepeatedState:
        genomes = concatenate([on_host(state.genomes) for state in states])
        fitness = np.concatenate([np.asarray(state.fitness) for state in states])
        return RepeatedState(genomes, fitness, states[0].generation, tuple(states))

    def init(key: jax.Array) -> RepeatedState:
        return joined([strategy.init(fold_in(key, i)) for i in range(runs)])

    def ask(key: jax.Array, state: RepeatedState) -> PyTree:
        asked = [on_host(strategy.ask(fold_in(key, i), one)) for i, one in enumerate(state.runs)]
        if len({size(genomes) for genomes in asked}) > 1:
            raise ValueError(
                f"repeated: runs of {strategy.name!r} ask for {[size(genomes) for genomes in asked]} genomes, expected "
                "equally many; run it once for each key instead"
            )
        return concatenate(asked)

    def tell(key: jax.Array, state: RepeatedState, genomes: PyTree, fitness: Any) -> RepeatedState:
        genomes, fitness = on_host(genomes), pareto.check_fitness("repeated", fitness)
        if len(fitness) % runs:
            raise ValueError(
                f"repeated: fitness is {list(fitness.shape)} for {runs} runs, expected equally many rows for each; "
                "leave out the budget"
            )
        each = len(fitness) // runs
        parts = [slice(i * each, (i + 1) * each) for i in range(runs)]
        return joined(
            [
                strategy.tell(fold_in(key, i), one, select(genomes, part), fitness[part])
                for i, (one, part) in enumerate(zip(state.runs, parts, strict=True))
            ]
        )

    return dataclasses.replace(
        strategy,
        name=f"{runs} runs of {strategy.name}",
        population=runs * strategy.population,
        init=init,
        ask=ask,
        tell=tell,
        host=True,
        settings={**strategy.settings, "runs": runs},
        report=lambda _: {},
    )


def fronts(result: Any) -> list[Scored]:
    """Returns what each run of a repeated strategy found.

    Args:
      result: of `run` with a strategy of `repeated`.

    Returns:
      For each run the front of its archive, or of its population where it keeps none, best by the first objective
      first.

    Raises:
      TypeError: where the result is not of repeated runs.
    """
    state = getattr(result, "state", None)
    if not isinstance(state, RepeatedState):
        raise TypeError(f"fronts: result is of {type(state).__name__}, expected what run gives for search.repeated")
    return [_front(getattr(one, "archive", one)) for one in state.runs]


def _front(found: Any) -> Scored:
    fitness = np.asarray(found.fitness)
    best = pareto.front(fitness)
    best = best[np.argsort(-fitness[best, 0], kind="stable")]
    return Scored(select(found.genomes, best), fitness[best])
