"""Evolution strategies: a mean that climbs the slope which its noisy copies show, by any optax optimiser.

Source: Salimans, Ho, Chen, Sidor and Sutskever 2017, "Evolution strategies as a scalable alternative to reinforcement
learning" (arXiv 1703.03864), algorithm 1 and section 2.1. n is the size of the population.
"""

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxevo.checkpoint import digest
from jaxevo.search import floats
from jaxevo.search.resuming import program_digest
from jaxevo.search.strategy import Scored, Strategy, check_count, check_space
from jaxevo.space import Space

PyTree = Any
Shaping = Literal["ranks", "standardised"]


class EvolutionState(NamedTuple):
    """State of an evolution strategy.

    genomes: stacked genomes [n, ...] that were scored last; the mean, n times, before the first generation.
    fitness: [n, 1], larger is better; minus infinity before the first generation.
    generation: how many generations it has seen, 0-d.
    archive: the best of all that were scored, one genome.
    mean: what the next genomes are drawn around, one genome in float32.
    sigma: standard deviation of the noise, 0-d.
    optimizer_state: state of the optimiser.
    """

    genomes: PyTree
    fitness: jax.Array
    generation: jax.Array
    archive: Scored
    mean: PyTree
    sigma: jax.Array
    optimizer_state: PyTree


def evolution_strategy(
    space: Space,
    population: int,
    sigma: float,
    optimizer: optax.GradientTransformation,
    *,
    start: PyTree = None,
    antithetic: bool = True,
    shaping: Shaping = "ranks",
) -> Strategy:
    """Builds an evolution strategy for a space whose genomes are floating-point numbers.

    Genomes are the mean plus sigma times normal noise, in mirrored pairs. The slope of the expected fitness is
    estimated as the mean of shaped fitness times noise over sigma, and handed to the optimiser as a gradient to climb.
    Genomes that scored NaN or infinity rank last; a generation that failed altogether moves nothing.

    Args:
      space: where genomes come from.
      population: genomes per generation n, at least 2; even where `antithetic`.
      sigma: standard deviation of the noise in the genome, above 0. Traced: another sigma is no other program.
      optimizer: an optax optimiser, such as `optax.adam(0.01)`; what it does with parameters (weight decay) it does
        with the mean.
      start: the first mean, one genome; by default the mean of n genomes of the space's sample.
      antithetic: whether genomes come in pairs of opposite noise (mirrored sampling, as published); child i of a key
        has the noise of `fold_in(key, i // 2)` and the sign `1 - 2 (i % 2)`, otherwise of `fold_in(key, i)`.
      shaping: what stands for the fitness: "ranks" (centred, from -0.5 to 0.5, equals share theirs; as published) or
        "standardised" (mean 0 and standard deviation 1 over what is finite).

    Returns:
      A strategy whose functions can be traced; what it found is `result.state.mean`, or `result.best`, the best genome
      of all generations.

    Raises:
      TypeError, ValueError: where an argument is not as above.
    """
    where = "evolution_strategy"
    check_space(where, space)
    population = check_count(where, "population", population, 2)
    if not isinstance(antithetic, bool):
        raise TypeError(f"{where}: antithetic is {antithetic!r}, expected True or False")
    if antithetic and population % 2:
        raise ValueError(f"{where}: population is {population}, expected an even number; or pass antithetic=False")
    sigma = floats.check_positive(where, "sigma", sigma)
    if not isinstance(optimizer, optax.GradientTransformation):
        raise TypeError(f"{where}: optimizer is {optimizer!r}, expected an optax optimiser such as optax.adam(0.01)")
    if shaping not in SHAPINGS:
        raise ValueError(f"{where}: shaping is {shaping!r}, expected one of {tuple(SHAPINGS)}")
    genome = floats.check_genomes(where, space)
    start = floats.check_start(where, start, genome)
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.float32), genome)

    def init(key: jax.Array) -> EvolutionState:
        mean = start
        if mean is None:
            sample = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), space.sample(key, population))
            mean = jax.tree.map(lambda leaf: leaf.mean(axis=0), sample)
        genomes = jax.tree.map(
            lambda leaf, kind: jnp.broadcast_to(leaf.astype(kind.dtype), (population, *kind.shape)), mean, genome
        )
        mean = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), mean)
        return EvolutionState(
            genomes=genomes,
            fitness=jnp.full((population, 1), -jnp.inf),
            generation=jnp.asarray(0),
            archive=floats.nothing(genomes),
            mean=mean,
            sigma=jnp.float32(sigma),
            optimizer_state=optimizer.init(mean),
        )

    def ask(key: jax.Array, state: EvolutionState) -> PyTree:
        return _ask(antithetic, key, state)

    def tell(key: jax.Array, state: EvolutionState, genomes: PyTree, fitness: Any) -> EvolutionState:
        del key
        fitness = floats.as_column(where, genomes, fitness)
        return _tell(optimizer, shaping, state, jax.tree.map(jnp.asarray, genomes), fitness)

    settings = {
        "sigma": sigma,
        "antithetic": antithetic,
        "shaping": shaping,
        "start": None if start is None else digest(start),
        "optimizer": program_digest(lambda g, m: optimizer.update(g, optimizer.init(m), m), like, like),
    }
    return Strategy(
        where, space, population, init, ask, tell, host=False, settings=settings,
        check_objectives=functools.partial(floats.check_one_objective, where),
    )  # fmt: skip


@functools.partial(jax.jit, static_argnums=0)
def _ask(antithetic: bool, key: jax.Array, state: EvolutionState) -> PyTree:
    means, structure = jax.tree.flatten(state.mean)

    def child(index):
        noise = jax.random.fold_in(key, index // 2 if antithetic else index)
        length = state.sigma * (1 - 2 * (index % 2) if antithetic else 1)
        keys = jax.random.split(noise, len(means))
        drawn = [mean + length * jax.random.normal(k, mean.shape) for k, mean in zip(keys, means, strict=True)]
        return jax.tree.unflatten(structure, drawn)

    children = jax.vmap(child)(jnp.arange(len(state.fitness)))
    return jax.tree.map(lambda leaf, like: leaf.astype(like.dtype), children, state.genomes)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _tell(
    optimizer: optax.GradientTransformation, shaping: Shaping, state: EvolutionState, genomes: PyTree, fitness
) -> EvolutionState:
    shaped = SHAPINGS[shaping](fitness[:, 0]) / (len(fitness) * state.sigma)

    def slope(leaf, mean):
        # The noise is read off the genomes: whatever rounded or trained them, this is what was scored.
        noise = jnp.where(jnp.isfinite(leaf), (leaf.astype(jnp.float32) - mean) / state.sigma, 0)
        return jnp.tensordot(shaped, noise, axes=1, precision=jax.lax.Precision.HIGHEST)

    # optax descends.
    downhill = jax.tree.map(lambda leaf, mean: -slope(leaf, mean), genomes, state.mean)
    changes, optimizer_state = optimizer.update(downhill, state.optimizer_state, state.mean)
    moved = optax.apply_updates(state.mean, changes), optimizer_state
    taught = jnp.isfinite(fitness).any()
    mean, optimizer_state = jax.tree.map(
        lambda new, old: jnp.where(taught, new, old), moved, (state.mean, state.optimizer_state)
    )
    return EvolutionState(
        genomes=genomes,
        fitness=fitness,
        generation=state.generation + 1,
        archive=floats.better(state.archive, genomes, fitness),
        mean=mean,
        sigma=state.sigma,
        optimizer_state=optimizer_state,
    )


def _centred_ranks(fitness: jax.Array) -> jax.Array:
    """Returns ranks [n] from -0.5 (worst) to 0.5; equals share the middle of theirs."""
    # Children often tie in accuracy: whoever came first must not count as the better one.
    values = jnp.where(jnp.isfinite(fitness), fitness, -jnp.inf)
    ordered = jnp.sort(values)
    below, upto = (jnp.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (below + upto - 1) / (2 * (len(fitness) - 1)) - 0.5


def _standardised(fitness: jax.Array) -> jax.Array:
    """Returns fitness [n] in standard deviations from its mean; what failed counts as the worst that did not."""
    usable = jnp.isfinite(fitness)
    values = jnp.where(usable, fitness, jnp.where(usable, fitness, jnp.inf).min())
    spread = values.std()
    return jnp.where(spread > 0, (values - values.mean()) / jnp.where(spread > 0, spread, 1), 0)


SHAPINGS = {"ranks": _centred_ranks, "standardised": _standardised}
