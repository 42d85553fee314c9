"""`keeping`: any strategy, with an archive of all that nothing it ever scored dominates.

a is the number of genomes in the archive, m that of objectives.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxevo.search import pareto
from jaxevo.search.strategy import Scored, Strategy, concatenate, on_host, select

PyTree = Any


class KeepingState(NamedTuple):
    """The state of a strategy, and what it has found on the way.

    genomes, fitness, generation: of the strategy's own state.
    archive: genomes [a, ...] and fitness [a, m] of all that nothing ever scored dominates; of genomes with equal
      fitness the first.
    search: the strategy's own state.
    """

    genomes: PyTree
    fitness: Any
    generation: Any
    archive: Scored
    search: Any


def keeping(strategy: Strategy) -> Strategy:
    """Gives a strategy an archive, so that a front that outgrows its population is not lost.

    Args:
      strategy: one that keeps no archive of its own.

    Returns:
      A host strategy that proposes and learns the same; the front of a run is that of its archive.

    Raises:
      TypeError: where it is no strategy.
    """
    if not isinstance(strategy, Strategy):
        raise TypeError(
            f"keeping: strategy is {strategy!r}, expected one of jaxevo.search, such as search.nsga2(space)"
        )

    def wrap(search: Any, archive: Scored) -> KeepingState:
        return KeepingState(search.genomes, search.fitness, search.generation, archive, search)

    def init(key: jax.Array) -> KeepingState:
        search = strategy.init(key)
        return wrap(search, Scored(select(on_host(search.genomes), slice(0, 0)), np.zeros((0, 0))))

    def tell(key: jax.Array, state: KeepingState, genomes: PyTree, fitness: Any) -> KeepingState:
        search = strategy.tell(key, state.search, genomes, fitness)
        return wrap(search, _joined(state.archive, on_host(genomes), pareto.check_fitness("keeping", fitness)))

    return dataclasses.replace(
        strategy,
        name=f"keeping {strategy.name}",
        init=init,
        ask=lambda key, state: strategy.ask(key, state.search),
        tell=tell,
        host=True,
        report=lambda state: strategy.report(state.search),
    )


def _joined(archive: Scored, genomes: PyTree, fitness: np.ndarray) -> Scored:
    if len(archive.fitness):
        genomes = concatenate([archive.genomes, genomes])
        fitness = np.concatenate([archive.fitness, fitness])
    best = pareto.front(fitness)
    _, first = np.unique(fitness[best], axis=0, return_index=True)
    kept = best[np.sort(first)]
    return Scored(select(genomes, kept), fitness[kept])
