"""Random search: the baseline that every search has to beat with the same number of distinct networks.

n is the size of the archive, m the number of objectives, s the number of genomes drawn so far.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxevo.programs import fold_in
from jaxevo.search import pareto
from jaxevo.search.strategy import (
    Strategy,
    check_count,
    check_scores,
    check_space,
    concatenate,
    drawn,
    on_host,
    phenotypes,
    select,
)
from jaxevo.space import Space

PyTree = Any

#: Samples of the space in a row that may bring nothing new before random search gives up.
TRIES = 100


class RandomSearchState(NamedTuple):
    """The archive of random search.

    genomes: stacked genomes [n, ...] that nothing seen so far dominates.
    fitness: [n, m], larger is better; [0, 0] before the first generation.
    seen: [s, 16] uint8, digests of the canonical genomes of all that were drawn.
    generation: how many batches were scored, 0-d.
    """

    genomes: PyTree
    fitness: np.ndarray
    seen: np.ndarray
    generation: np.ndarray


def random_search(space: Space, population: int, distinct: bool = True, total: int | None = None) -> Strategy:
    """Builds random search for a space.

    Every `ask` draws from `space.sample` with a new key. Where the space has fewer networks left than are asked for
    (100 samples in a row bring nothing new), `ask` returns fewer, in the end none, which ends a run.

    Args:
      space: where genomes come from.
      population: genomes per batch, at least 1.
      distinct: never draw the same network twice in a run (networks are the same where their canonical genomes are).
      total: number of genomes after which to stop, at least 1; the last batch is smaller. None for no limit.

    Returns:
      A host strategy; its population is the archive of all that nothing seen dominates.

    Raises:
      TypeError, ValueError: where an argument is not as above.
    """
    check_space("random_search", space, trained=True)
    population = check_count("random_search", "population", population, 1)
    if not isinstance(distinct, bool):
        raise TypeError(f"random_search: distinct is {distinct!r}, expected True or False")
    if total is not None:
        total = check_count("random_search", "total", total, 1)
    identify = phenotypes(space)

    def init(key: jax.Array) -> RandomSearchState:
        none = select(drawn(space, key, population), slice(0, 0))
        return RandomSearchState(none, np.zeros((0, 0)), np.zeros((0, 16), np.uint8), np.asarray(0))

    def ask(key: jax.Array, state: RandomSearchState) -> PyTree:
        wanted = population if total is None else min(population, total - len(state.seen))
        if not distinct:
            return select(drawn(space, key, population), slice(0, wanted))
        known = {row.tobytes() for row in state.seen}
        batches, missing, failures, attempt = [select(state.genomes, slice(0, 0))], wanted, 0, 0
        while missing and failures < TRIES:
            genomes = drawn(space, fold_in(key, attempt), population)
            fresh = _fresh(identify(genomes), known)[:missing]
            batches.append(select(genomes, fresh))
            missing, attempt = missing - len(fresh), attempt + 1
            failures = 0 if len(fresh) else failures + 1
        return concatenate(batches)

    def tell(key: jax.Array, state: RandomSearchState, genomes: PyTree, fitness: Any) -> RandomSearchState:
        del key
        check_scores("random_search", genomes, fitness)
        genomes, fitness = on_host(genomes), pareto.check_fitness("random_search", fitness)
        seen = np.concatenate([state.seen, identify(genomes)])
        if state.generation > 0:
            genomes = concatenate([state.genomes, genomes])
            fitness = np.concatenate([state.fitness, fitness])
        best = pareto.front(fitness)
        return RandomSearchState(select(genomes, best), fitness[best], seen, np.asarray(state.generation + 1))

    settings = {"distinct": distinct, "total": total}
    return Strategy("random_search", space, population, init, ask, tell, host=True, settings=settings)


def _fresh(identities: np.ndarray, known: set[bytes]) -> np.ndarray:
    """Returns the indices of rows of [n, 16] that are not known yet, and makes them known."""
    fresh = []
    for index, row in enumerate(identities):
        if row.tobytes() not in known:
            known.add(row.tobytes())
            fresh.append(index)
    return np.asarray(fresh, np.int64)
