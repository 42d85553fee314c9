"""Truncation selection: the best are the parents of the next generation. Everything here can be traced.

Source: Such et al. 2017, "Deep neuroevolution" (arXiv 1712.06567), algorithm 1, with several elites.
n is the size of the population, m the number of objectives.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxevo.search.strategy import Strategy, check_count, check_scores, check_space, select
from jaxevo.space import Space

PyTree = Any


class TruncationState(NamedTuple):
    """The population that was scored last.

    genomes: stacked genomes [n, ...].
    fitness: [n, m], larger is better; minus infinity before the first generation.
    generation: how many generations it has seen, 0-d.
    """

    genomes: PyTree
    fitness: jax.Array
    generation: jax.Array


def truncation(space: Space, population: int, elite: int | None = None, objectives: int = 1) -> Strategy:
    """Builds truncation selection for a space.

    The first `ask` returns a sample of the space. Every later one returns the elite, unchanged and in order of
    fitness, which are scored anew, followed by offspring of pairs drawn from the elite at random. Only the first
    objective selects; NaN and infinity never enter the elite while anything else is there.

    Args:
      space: where genomes come from; `space.vary` holds crossover and mutation.
      population: genomes per generation, at least 2.
      elite: number of parents, in [1, population - 1]; by default a quarter of the population.
      objectives: number of columns of the fitness: a compiled loop needs to know it beforehand.

    Returns:
      A strategy whose functions can be traced.

    Raises:
      TypeError, ValueError: where an argument is not as above.
    """
    check_space("truncation", space)
    population = check_count("truncation", "population", population, 2)
    elite = max(1, population // 4) if elite is None else check_count("truncation", "elite", elite, 1, population - 1)
    objectives = check_count("truncation", "objectives", objectives, 1)

    def check_objectives(count: int) -> None:
        if count != objectives:
            raise ValueError(
                f"truncation: fitness has {count} objectives, expected {objectives}; build the strategy with "
                f"objectives={count}"
            )

    def init(key: jax.Array) -> TruncationState:
        genomes = jax.tree.map(jnp.asarray, space.sample(key, population))
        return TruncationState(genomes, jnp.full((population, objectives), -jnp.inf), jnp.asarray(0))

    @jax.jit
    def ask(key: jax.Array, state: TruncationState) -> PyTree:
        pair_key, vary_key = jax.random.split(key)
        best = select(state.genomes, jnp.argsort(-_score(state.fitness), stable=True)[:elite])
        first, second = jax.random.randint(pair_key, (2, population - elite), 0, elite)
        offspring = space.vary(vary_key, select(best, first), select(best, second))
        bred = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), best, offspring)
        return jax.tree.map(lambda a, b: jnp.where(state.generation == 0, a, b), state.genomes, bred)

    def tell(key: jax.Array, state: TruncationState, genomes: PyTree, fitness: Any) -> TruncationState:
        del key
        check_scores("truncation", genomes, fitness)
        check_objectives(jnp.shape(fitness)[1])
        fitness = jnp.asarray(fitness, state.fitness.dtype)
        return TruncationState(jax.tree.map(jnp.asarray, genomes), fitness, state.generation + 1)

    settings = {"elite": elite, "objectives": objectives}
    return Strategy(
        "truncation", space, population, init, ask, tell, host=False, settings=settings,
        check_objectives=check_objectives,
    )  # fmt: skip


def _score(fitness: jax.Array) -> jax.Array:
    """Returns what selects [n]: the first objective, minus infinity for rows that are not finite."""
    return jnp.where(jnp.isfinite(fitness).all(axis=1), fitness[:, 0], -jnp.inf)
