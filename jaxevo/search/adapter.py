"""`evosax`: every strategy of the evosax library as one of ours.

evosax (Lange 2022, "evosax: JAX-based evolution strategies", arXiv 2212.04180) minimises over one vector of numbers,
so that this is where fitness is negated and genomes are raveled. d is how many numbers a genome holds, n the size of
the population.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxevo.checkpoint import digest
from jaxevo.programs import split_key
from jaxevo.search import floats
from jaxevo.search.algorithms import (
    Machine,
    Shapes,
    build,
    cast_like,
    check_algorithm,
    check_options,
    check_params,
    identify,
    strong,
)
from jaxevo.search.strategy import Scored, Strategy, check_count, check_space
from jaxevo.space import Space

PyTree = Any


class EvosaxState(NamedTuple):
    """State of a strategy of evosax.

    genomes: stacked genomes [n, ...] that were scored last.
    fitness: [n, 1], larger is better; minus infinity before the first generation.
    generation: how many generations it has seen, 0-d.
    archive: the best of all that were scored, one genome.
    asked: stacked genomes [n, ...] that `ask` returns: evosax's state moves on as it draws.
    begun: whether evosax has a state to go on from, 0-d bool; one that keeps a population has none before the first
      one was scored.
    scale: length in the genome of what evosax takes for 1, 0-d.
    params: evosax's own parameters of the strategy.
    search: evosax's own state.
    """

    genomes: PyTree
    fitness: jax.Array
    generation: jax.Array
    archive: Scored
    asked: PyTree
    begun: jax.Array
    scale: jax.Array
    params: Any
    search: Any


def evosax(
    algorithm: str,
    space: Space,
    population: int,
    *,
    start: PyTree = None,
    scale: float = 1.0,
    params: Mapping[str, float] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Strategy:
    """Builds a strategy of evosax for a space whose genomes are floating-point numbers.

    Genomes that scored NaN or infinity are told as worse than all others of their generation; a strategy that keeps a
    population is told of the worst finite one in their place. A generation that failed altogether teaches nothing.
    What evosax says of a strategy holds: GuidedES is given no gradients and draws at random; RandomSearch learns
    nothing; those that move a mean by an optimiser move it by a thousandth of `scale` until `options` holds another;
    the noise of some, iAMaLGaM among them, never falls below their `std_schedule`, which is 1.

    Args:
      algorithm: name of a class in `evosax.algorithms`, such as "CMA_ES", "Open_ES" or "DifferentialEvolution".
      space: where genomes come from; a traceable `sample` is needed by RandomSearch only.
      population: genomes per generation n, at least 2; even, or whatever else the strategy asks for. SV_CMA_ES and
        SV_Open_ES divide it among `options["num_populations"]`, by default 2.
      start: the genome from which to start: the mean of the first distribution, or the first of the first population.
        By default the mean of n genomes of the space's sample, or their first.
      scale: length in the genome of what evosax takes for 1, above 0. Its strategies expect to search over a few units,
        far more than what trained parameters stand. Traced: another scale is no other program.
      params: numbers that replace some of evosax's `default_params` (`{"std_init": 0.5}`), in units of `scale`. Traced.
      options: further arguments of the strategy's class (`{"optimizer": optax.adam(0.1)}`), hashable.

    Returns:
      A strategy whose functions can be traced; `result.state.search` is evosax's own state. Its archive holds the best
      genome of all generations.

    Raises:
      TypeError, ValueError: where an argument is not as above, or evosax refuses it.
    """
    check_space("evosax", space)
    name = check_algorithm(algorithm)
    population = check_count("evosax", "population", population, 2)
    genome = floats.check_genomes("evosax", space)
    start = floats.check_start("evosax", start, genome)
    scale = floats.check_positive("evosax", "scale", scale)
    options = check_options(name, {} if options is None else options, space)
    machine = build(name, population, Shapes.of(genome), tuple(sorted(options.items())))
    chosen = check_params(name, machine.algorithm.default_params, {} if params is None else params)

    def init(key: jax.Array) -> EvosaxState:
        sample_key, init_key = split_key(key, 2)
        genomes = jax.tree.map(jnp.asarray, space.sample(sample_key, population))
        return _init(machine, init_key, genomes, start, jnp.float32(scale), chosen)

    def ask(key: jax.Array, state: EvosaxState) -> PyTree:
        del key
        return state.asked

    def tell(key: jax.Array, state: EvosaxState, genomes: PyTree, fitness: Any) -> EvosaxState:
        fitness = floats.as_column(f"evosax {name}", genomes, fitness)
        return _tell(machine, key, state, jax.tree.map(jnp.asarray, genomes), fitness)

    settings = {
        "scale": scale,
        "start": None if start is None else digest(start),
        "params": {field: float(value) for field, value in (params or {}).items()},
        "options": identify(machine, options, chosen),
    }
    return Strategy(
        f"evosax {name}", space, population, init, ask, tell, host=False, settings=settings,
        check_objectives=functools.partial(floats.check_one_objective, f"evosax {name}"),
    )  # fmt: skip


@functools.partial(jax.jit, static_argnames="machine")
def _init(machine: Machine, key: jax.Array, genomes: PyTree, start: PyTree, scale: jax.Array, params: Any):
    init_key, ask_key = jax.random.split(key)
    flat = machine.shapes.ravel(genomes) / scale
    first = None if start is None else machine.shapes.ravel(jax.tree.map(lambda leaf: leaf[None], start))[0] / scale
    if machine.keeps and first is not None:
        flat = flat.at[0].set(first)
    search = machine.start(init_key, flat, jnp.zeros(len(flat)), first, params)
    if not machine.keeps:
        flat, search = machine.algorithm.ask(ask_key, search, params)
    asked = machine.shapes.unravel(flat * scale)
    return EvosaxState(
        genomes=asked,
        fitness=jnp.full((len(flat), 1), -jnp.inf),
        generation=jnp.asarray(0),
        archive=floats.nothing(asked),
        asked=asked,
        begun=jnp.asarray(not machine.keeps),
        scale=scale,
        params=params,
        search=strong(search),
    )


@functools.partial(jax.jit, static_argnames="machine")
def _tell(machine: Machine, key: jax.Array, state: EvosaxState, genomes: PyTree, fitness: jax.Array) -> EvosaxState:
    tell_key, ask_key = jax.random.split(key)
    algorithm, flat = machine.algorithm, machine.shapes.ravel(genomes) / state.scale
    flat, losses, usable = _told(machine, flat, -fitness[:, 0])

    def go_on():
        return cast_like(algorithm.tell(tell_key, flat, losses, state.search, state.params)[0], state.search)

    def begin():
        return cast_like(machine.start(tell_key, flat, losses, None, state.params), state.search)

    learn = (lambda: jax.lax.cond(state.begun, go_on, begin)) if machine.keeps else go_on
    search = jax.lax.cond(usable, learn, lambda: state.search)
    begun = state.begun | usable
    drawn, moved = algorithm.ask(ask_key, search, state.params)
    asked = machine.shapes.unravel(drawn * state.scale)
    keep = functools.partial(jax.tree.map, lambda new, old: jnp.where(begun, new, old))
    return EvosaxState(
        genomes=genomes,
        fitness=fitness,
        generation=state.generation + 1,
        archive=floats.better(state.archive, genomes, fitness),
        asked=keep(asked, state.asked),
        begun=begun,
        scale=state.scale,
        params=state.params,
        search=keep(cast_like(moved, search), search),
    )


def _told(machine: Machine, flat: jax.Array, losses: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns what evosax is told, genomes [n, d] and losses [n], and whether that teaches anything."""
    whole = jnp.isfinite(flat).all(axis=1)
    usable = jnp.isfinite(losses) & whole
    last = jnp.argmax(jnp.where(usable, losses, -jnp.inf))
    # A distribution learns that the direction of a failure is bad. A population must not take the failure in: it could
    # outlive genomes of later generations that are worse than what it stood for.
    replaced = ~usable if machine.keeps else ~whole
    behind = losses[last] + 0.0 if machine.keeps else losses[last] + 1e-6 * jnp.maximum(1, jnp.abs(losses[last]))
    behind = jnp.minimum(behind, jnp.finfo(jnp.float32).max)
    return jnp.where(replaced[:, None], flat[last], flat), jnp.where(usable, losses, behind), usable.any()
