"""Search with a model of what was scored: of many offspring, those are scored from which the model expects most.

Sources: Emmerich, Giannakoglou and Naujoks 2006, "Single- and multiobjective evolutionary optimization assisted by
Gaussian random field metamodels", for pre-selection; Ponweiser et al. 2008, "Multiobjective optimization on a limited
budget of evaluations using model-assisted S-metric selection", for the gain in hypervolume of an optimistic guess. n is
the number of genomes scored so far, m that of objectives, G that of genes.
"""

import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import scipy.linalg

from jaxevo.checks import as_numbers
from jaxevo.programs import split_key
from jaxevo.search import pareto
from jaxevo.search.resuming import program_digest
from jaxevo.search.strategy import (
    Strategy,
    breeder,
    check_count,
    check_scores,
    check_space,
    check_vectors,
    on_host,
    phenotypes,
)
from jaxevo.space import Space

#: The model is fitted to at most so many genomes, the front's and the latest: its time grows with their cube.
MOST = 1024

#: Choices of the kernel's length, as shares of the number of genes, and of the noise, as shares of the variance.
LENGTHS, NOISES = (1 / 8, 1 / 4, 1 / 2, 1.0), (1e-3, 1e-2, 1e-1)


class SurrogateState(NamedTuple):
    """All that was scored.

    genomes: int [n, G], in the order in which they were.
    fitness: [n, m], larger is better; [n, 0] before the first generation, when genomes are the sample to begin with.
    generation: how many batches were scored, 0-d.
    """

    genomes: np.ndarray
    fitness: np.ndarray
    generation: np.ndarray


def surrogate(
    space: Space,
    population: int = 16,
    *,
    candidates: int = 2048,
    known: Mapping[int, Callable[[jax.Array], Any]] | None = None,
    reference: Sequence[float] | None = None,
    start: Any = None,
    optimism: float = 0.5,
) -> Strategy:
    """Builds a search that asks a model before it scores, for networks that cost much and budgets of hundreds.

    The first `ask` returns the genomes to start from and a sample of the space. Every later one makes many candidates,
    half of them bred from the front and from all that was scored, half new samples; guesses the fitness of each by a
    Gaussian process over genomes, whose kernel falls with the number of genes that differ; and returns those whose
    optimistic guesses add most to the hypervolume of the front, one after another. No network is scored twice.

    Args:
      space: where genomes come from; one integer array [G] each. `space.vary` holds crossover and mutation.
      population: genomes per generation, at least 1.
      candidates: how many are guessed in each, at least 2 and at least `population`.
      known: objectives that a genome tells by itself and nothing has to guess: by index a traceable `genome -> number`
        as in the fitness, such as `{1: lambda genome: -space.cost(genome).multiply_adds}`.
      reference: the worst point [m] that counts in the hypervolume; by default a tenth of its extent below the front.
      start: genomes [k, G] that are scored first.
      optimism: of a guess, in standard deviations above the mean, at least 0: the larger, the more is explored.

    Returns:
      A host strategy; its population is all that it scored.

    Raises:
      TypeError, ValueError: where an argument is not as above.
    """
    where = "surrogate"
    check_space(where, space)
    check_vectors(where, space)
    population = check_count(where, "population", population, 1)
    candidates = check_count(where, "candidates", candidates, max(2, population))
    known = _check_known(where, space, known)
    worst = None if reference is None else as_numbers(where, "reference", reference)
    if worst is not None and (worst.ndim != 1 or not np.isfinite(worst).all()):
        raise ValueError(f"{where}: reference is {reference!r}, expected a finite number for each objective")
    if isinstance(optimism, bool) or not isinstance(optimism, numbers.Real) or not 0 <= optimism < np.inf:
        raise ValueError(f"{where}: optimism is {optimism!r}, expected a number of at least 0; the default is 0.5")
    first = _check_start(where, space, start)
    identify, breed = phenotypes(space), breeder(space)
    told = {index: jax.jit(jax.vmap(function)) for index, function in known.items()}

    def check_objectives(count: int) -> None:
        if (worst is not None and len(worst) != count) or any(index >= count for index in known):
            raise ValueError(
                f"{where}: fitness has {count} objectives, but known are {sorted(known)} and reference is "
                f"{reference!r}; expected indices below that and a number for each"
            )

    def fresh(genomes: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Returns the places of the genomes that are neither among those seen nor the same as an earlier one."""
        old = {row.tobytes() for row in identify(seen)}
        rows = [row.tobytes() for row in identify(genomes)]
        firsts = {row: index for index, row in reversed(list(enumerate(rows))) if row not in old}
        return np.array(sorted(firsts.values()), int)

    def init(key: jax.Array) -> SurrogateState:
        sampled = on_host(space.sample(key, population))
        return SurrogateState(sampled, np.zeros((population, 0)), np.asarray(0))

    def ask(key: jax.Array, state: SurrogateState) -> np.ndarray:
        if state.generation == 0:
            begun = np.concatenate([first, state.genomes])
            return begun[fresh(begun, first[:0])]
        proposed = offered(key, state)
        new = fresh(proposed, state.genomes)
        if len(new) <= population or not pareto.finite(state.fitness).any():
            return proposed[new[:population]]
        means, deviations = _guess(space, state, proposed[new])
        for index, function in told.items():
            # Of all that were proposed, whose number never changes: a program for each number would be compiled anew.
            means[:, index], deviations[:, index] = np.asarray(function(proposed))[new], 0.0
        return proposed[new[_best(state.fitness, means + optimism * deviations, worst, population)]]

    def offered(key: jax.Array, state: SurrogateState) -> np.ndarray:
        """Makes the candidates."""
        pick_key, vary_key, sample_key = split_key(key, 3)
        rng = np.random.default_rng(np.asarray(jax.random.key_data(pick_key)).ravel())
        best, scored, bred = pareto.front(state.fitness), np.arange(len(state.genomes)), candidates - candidates // 2
        best = best if len(best) else scored
        a = rng.choice(best, bred)
        # A third each: with another of the front, with anything scored, with itself, which leaves mutation alone.
        b = np.stack([rng.choice(best, bred), rng.choice(scored, bred), a])[rng.integers(3, size=bred), np.arange(bred)]
        offspring = breed(vary_key, state.genomes[a], state.genomes[b])
        return np.concatenate([offspring, on_host(space.sample(sample_key, candidates // 2))])

    def tell(key: jax.Array, state: SurrogateState, genomes: np.ndarray, fitness: Any) -> SurrogateState:
        del key
        check_scores(where, genomes, fitness)
        genomes, fitness = np.asarray(genomes), pareto.check_fitness(where, fitness)
        check_objectives(fitness.shape[1])
        if state.generation > 0:
            genomes = np.concatenate([state.genomes, genomes])
            fitness = np.concatenate([state.fitness, fitness])
        return SurrogateState(genomes, fitness, np.asarray(state.generation + 1))

    settings = {
        "candidates": candidates,
        "known": {str(index): program_digest(function, space.genome) for index, function in known.items()},
        "optimism": float(optimism),
        "reference": None if worst is None else worst.tolist(),
        "start": first.tolist(),
    }
    return Strategy(
        where, space, population, init, ask, tell, host=True, settings=settings, check_objectives=check_objectives
    )


def _check_known(where: str, space: Space, known: Any) -> dict[int, Callable[[jax.Array], Any]]:
    known = {} if known is None else known
    fine = isinstance(known, Mapping) and all(
        isinstance(index, int) and not isinstance(index, bool) and index >= 0 and callable(function)
        for index, function in known.items()
    )
    if not fine:
        raise TypeError(
            f"{where}: known is {known!r}, expected functions of a genome by the index of the objective that they "
            "tell, such as {1: lambda genome: -space.cost(genome).multiply_adds}"
        )
    for index, function in known.items():
        try:
            found = jax.eval_shape(function, space.genome)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise ValueError(
                f"{where}: known[{index}] fails on a genome {space.genome}: {error}; expected a traceable function of "
                "one genome"
            ) from error
        if getattr(found, "shape", None) != ():
            raise ValueError(f"{where}: known[{index}] returns {found} for a genome, expected one number")
    return dict(known)


def _check_start(where: str, space: Space, start: Any) -> np.ndarray:
    genome = space.genome
    if start is None:
        return np.zeros((0, *genome.shape), genome.dtype)
    found = as_numbers(where, "start", start)
    if found.ndim != 2 or found.shape[1:] != genome.shape or (found != np.round(found)).any():
        raise ValueError(
            f"{where}: start has shape {list(found.shape)}, expected whole numbers [genomes, {genome.shape[0]}] as "
            "space.sample gives them"
        )
    return found.astype(genome.dtype)


def _guess(space: Space, state: SurrogateState, genomes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Guesses the fitness of genomes: means and standard deviations [c, m]."""
    usable = np.flatnonzero(pareto.finite(state.fitness))
    best = np.intersect1d(pareto.front(state.fitness), usable)
    kept = np.concatenate([np.setdiff1d(usable, best), best])[-MOST:]
    known, asked = (np.asarray(space.canonicals(rows)) for rows in (state.genomes[kept], genomes))
    between, across = _distances(known, known), _distances(asked, known)
    found = [_regression(between, across, column) for column in state.fitness[kept].T]
    return np.stack([mean for mean, _ in found], 1), np.stack([deviation for _, deviation in found], 1)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns shares of the genes that differ, [len(a), len(b)]."""
    return np.stack([(row != b).mean(1) for row in a])


def _regression(between: np.ndarray, across: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predicts by a Gaussian process whose length and noise are the likeliest of the choices.

    Its variance is the best for each choice, in closed form (Rasmussen and Williams 2006, equation 5.8, profiled).
    """
    mean, spread, count = values.mean(), max(values.std(), np.finfo(np.float32).tiny), len(values)
    scaled, found = (values - mean) / spread, []
    for length in LENGTHS:
        kernel = np.exp(-between / length)
        for noise in NOISES:
            factor = scipy.linalg.cho_factor(kernel + noise * np.eye(count), lower=True)
            weights = scipy.linalg.cho_solve(factor, scaled)
            variance = max(scaled @ weights / count, np.finfo(np.float32).tiny)
            likelihood = -0.5 * count * np.log(variance) - np.log(np.diag(factor[0])).sum()
            found.append((likelihood, length, factor, weights, variance))
    _, length, factor, weights, variance = max(found, key=lambda choice: choice[0])
    kernel = np.exp(-across / length)
    left = variance * np.maximum(1 - np.sum(kernel * scipy.linalg.cho_solve(factor, kernel.T).T, 1), 0)
    return mean + spread * (kernel @ weights), spread * np.sqrt(left)


def _best(fitness: np.ndarray, guesses: np.ndarray, worst: np.ndarray | None, count: int) -> np.ndarray:
    """Chooses guesses that add most to the hypervolume of the front, each beside those chosen before it."""
    front = fitness[pareto.front(fitness)]
    if worst is None:
        worst = front.min(0) - 0.1 * np.maximum(np.ptp(front, axis=0), np.finfo(np.float32).tiny)
    # In units of the front, so that volumes are not tiny; what adds nothing comes in the order of its guesses' sum.
    scale = np.maximum(front.max(0) - worst, np.finfo(np.float32).tiny)
    front, guesses, zero = (front - worst) / scale, (guesses - worst) / scale, np.zeros(front.shape[1])

    def gain(index: int) -> float:
        return pareto.hypervolume(np.vstack([front, guesses[index]]), zero) - volume

    volume = pareto.hypervolume(front, zero)
    gains, chosen = np.array([gain(index) for index in range(len(guesses))]), []
    while len(chosen) < count:
        # A gain only falls as others are chosen: whatever leads after it was measured anew is the largest.
        order = np.lexsort((-guesses.sum(1), -gains))
        leader = order[0]
        gains[leader] = gain(leader)
        if gains[leader] >= gains[order[1]]:
            chosen.append(leader)
            front, gains[leader] = np.vstack([front, guesses[leader]]), -np.inf
            volume = pareto.hypervolume(front, zero)
    return np.array(chosen)
