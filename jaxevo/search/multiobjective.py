"""NSGA-II: survival by Pareto rank and crowding, without duplicates.

Source: Deb, Pratap, Agarwal, Meyarivan 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II".
n is the size of a population, m the number of objectives.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxevo.programs import split_key
from jaxevo.search import pareto
from jaxevo.search.strategy import (
    Strategy,
    breeder,
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


class NSGA2State(NamedTuple):
    """The population of NSGA-II, best first.

    genomes: stacked genomes [n, ...].
    fitness: [n, m], larger is better; [n, 0] before the first generation.
    ranks: [n], 0 for the front; duplicates rank behind all distinct genomes, failures behind duplicates.
    crowding: [n], distance to the neighbours within the same rank.
    generation: how many generations it has seen, 0-d.
    """

    genomes: PyTree
    fitness: np.ndarray
    ranks: np.ndarray
    crowding: np.ndarray
    generation: np.ndarray


def nsga2(space: Space, population: int = 64, offspring: int | None = None) -> Strategy:
    """Builds NSGA-II for a space.

    The first `ask` returns a sample of the space, every later one the offspring of parents that won binary
    tournaments by rank, then crowding. The best of parents and offspring survive; a genome whose canonical form
    equals that of a better-placed one comes after all distinct ones, a failed one (NaN, infinity) last of all. Where
    members are trained, survivors keep what they have learned and offspring begin anew.

    Args:
      space: where genomes come from; `space.vary` holds crossover and mutation.
      population: number of survivors, at least 2.
      offspring: number of genomes per generation after the first, at least 1; by default as many as `population`; 2
        gives the steady-state form.

    Returns:
      A host strategy.

    Raises:
      TypeError, ValueError: where an argument is not as above.
    """
    check_space("nsga2", space, trained=True)
    population = check_count("nsga2", "population", population, 2)
    offspring = population if offspring is None else check_count("nsga2", "offspring", offspring, 1)
    identify, breed = phenotypes(space), breeder(space)

    def init(key: jax.Array) -> NSGA2State:
        genomes = drawn(space, key, population)
        unranked = np.zeros(population, np.int64)
        return NSGA2State(genomes, np.zeros((population, 0)), unranked, unranked.astype(float), np.asarray(0))

    def ask(key: jax.Array, state: NSGA2State) -> PyTree:
        if state.generation == 0:
            return state.genomes
        tournament_key, vary_key = split_key(key, 2)
        parents = tournaments(tournament_key, state.ranks, state.crowding, 2 * offspring)
        first, second = (select(state.genomes, index) for index in np.split(parents, 2))
        return breed(vary_key, first, second)

    def tell(key: jax.Array, state: NSGA2State, genomes: PyTree, fitness: Any) -> NSGA2State:
        del key
        check_scores("nsga2", genomes, fitness)
        genomes, fitness = on_host(genomes), pareto.check_fitness("nsga2", fitness)
        if state.generation > 0:
            genomes = concatenate([state.genomes, genomes])
            fitness = np.concatenate([state.fitness, fitness])
        ranks, crowding = place(fitness, identify(genomes))
        best = np.lexsort((-crowding, ranks))[:population]
        return NSGA2State(
            select(genomes, best), fitness[best], ranks[best], crowding[best], np.asarray(state.generation + 1)
        )

    return Strategy("nsga2", space, population, init, ask, tell, host=True, settings={"offspring": offspring})


def tournaments(key: jax.Array, ranks: np.ndarray, crowding: np.ndarray, count: int) -> np.ndarray:
    """Holds binary tournaments between members of shuffled populations, so that all take part equally often.

    Args:
      key: a key.
      ranks: [n], smaller wins.
      crowding: [n], larger wins among equal ranks.
      count: number of tournaments.

    Returns:
      Indices [count] of the winners.
    """
    rounds = -(-2 * count // len(ranks))
    keys = jax.random.split(key, rounds)
    shuffled = np.asarray(jax.vmap(lambda one: jax.random.permutation(one, len(ranks)))(keys))
    a, b = shuffled.reshape(-1)[: 2 * count].reshape(count, 2).T
    b_wins = (ranks[b] < ranks[a]) | ((ranks[b] == ranks[a]) & (crowding[b] > crowding[a]))
    return np.where(b_wins, b, a)


def place(fitness: np.ndarray, identities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks a population for survival.

    Args:
      fitness: [n, m], larger is better.
      identities: [n, 16] uint8, equal for genomes that are the same network.

    Returns:
      Ranks [n] (fronts of the distinct finite genomes, then all duplicates, then all failures) and crowding [n]
      (within each front; 0 for duplicates and failures).
    """
    usable = pareto.finite(fitness)
    ranks, crowding = _fronts(fitness, usable)
    distinct = _first_of_each(identities, np.lexsort((-crowding, ranks))) & usable
    if not np.array_equal(distinct, usable):
        ranks, crowding = _fronts(fitness, distinct)
    behind = ranks[distinct].max(initial=-1) + 1
    ranks = np.where(distinct, ranks, np.where(usable, behind, behind + 1))
    return ranks, crowding


def _fronts(fitness: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns ranks [n] and crowding [n] among the members; others come behind them, uncrowded."""
    ranks, crowding = np.zeros(len(fitness), np.int64), np.zeros(len(fitness))
    ranks[members] = pareto.ranks(fitness[members])
    ranks[~members] = ranks[members].max(initial=-1) + 1
    for rank in np.unique(ranks[members]):
        front = np.flatnonzero(members & (ranks == rank))
        crowding[front] = pareto.crowding(fitness[front])
    return ranks, crowding


def _first_of_each(identities: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Marks [n] the first of all equal rows of [n, 16], in the given order."""
    first = np.zeros(len(identities), bool)
    _, positions = np.unique(identities[order], axis=0, return_index=True)
    first[order[positions]] = True
    return first
