"""`replace_worst`: a population that goes on learning while children of the best take the places of the worst.

Source: population based training (Jaderberg et al. 2017, arXiv 1711.09846) as PBT-NAS has it (arXiv 2307.15621). n is
the size of the population, m the number of objectives, L the number of units that children take over.
"""

import dataclasses
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxevo.checks import check_function
from jaxevo.network import Member
from jaxevo.programs import briefly, fold_in, split_key
from jaxevo.search import pareto
from jaxevo.search.strategy import Strategy, check_count, check_scores, check_space, drawn, on_host, select
from jaxevo.space import Breeding, Space

PyTree = Any

_log = logging.getLogger(__name__)


class Births(NamedTuple):
    """How the members of a population came there.

    better, other: int [n], numbers of the parents of each member that is a child of this generation; else -1. Both are
      -1 for a child that begins anew, as no parent was left.
    taken: bool [n, L], what each child took over from the other, or has changed.
    replaced: int [n], number of the member whose place it took, else -1.
    diverged: bool [n], whether that one's fitness was not finite.
    """

    better: np.ndarray
    other: np.ndarray
    taken: np.ndarray
    replaced: np.ndarray
    diverged: np.ndarray


class ReplacementState(NamedTuple):
    """A population that learns.

    genomes: the members [n, ...] that were scored last, or that begin.
    fitness: [n, m], larger is better; [n, 0] before the first generation.
    generation: how many generations it has seen, 0-d.
    numbers: int [n], the number of each member: 0 to n - 1 for those that began, then counted on.
    born: how many members there were so far, 0-d.
    births: how the population that was scored last came about.
    key: whatever is random in the search.
    """

    genomes: Member
    fitness: np.ndarray
    generation: np.ndarray
    numbers: np.ndarray
    born: np.ndarray
    births: Births
    key: jax.Array


class _Plan(NamedTuple):
    """Who takes which place: rows of the population, the key of each child, and the units that it takes over."""

    place: int
    better: int
    other: int
    diverged: bool
    key: jax.Array
    taken: np.ndarray


def replace_worst(
    space: Space,
    population: int,
    fraction: float = 0.25,
    *,
    parents: float | None = None,
    mates: str = "best",
    breeding: Breeding | None = None,
    begin: Callable[[Member], Member] | None = None,
) -> Strategy:
    """Builds the strategy of a population that learns on, and whose worst are replaced by children of its best.

    In every generation all members are trained a little more and scored, by an evaluation such as `evaluation.after`.
    Before the next, the worst share is replaced: parents are drawn from the best share, two different ones for each
    child, of which the better one is copied and the other one gives what is taken over. Only the first objective
    selects. A member whose fitness is not finite ranks last, is never a parent, and is replaced even where more fail
    than the share; unless nothing is ever replaced. The last generation is trained and scored, and that is all.

    It is a host strategy: how many members fail is not known beforehand.

    Args:
      space: a space whose members are trained, such as `pbt.layers(architecture)`.
      population: members n, at least 2.
      fraction: share of the population that is replaced, rounded down, in [0, 1); 0 for random search, in which
        members only learn.
      parents: share that parents are drawn from, rounded down, at least two of them; by default the same.
      mates: "best", two different members of the best share; or "itself", one of them with itself, as the published
        ablation without new architectures has it.
      breeding: how children are made; by default what the space brings.
      begin: `member -> member`, gives a member without optimiser state its first one, such as `Learner.begin`; without
        it members have none between generations, and every generation begins with a fresh one.

    Returns:
      A host strategy. Its report tells the births of each generation, of which `pbt.lineage` makes a family tree.

    Raises:
      TypeError, ValueError: where an argument is not as above.
    """
    where = "replace_worst"
    check_space(where, space, trained=True)
    if space.init is None or space.learning is None:
        raise ValueError(f"{where}: members of space {space.name!r} are not trained; use search.truncation")
    population = check_count(where, "population", population, 2)
    fraction = _check_share(where, "fraction", fraction)
    parents = _check_share(where, "parents", fraction if parents is None else parents)
    if mates not in ("best", "itself"):
        raise ValueError(f"{where}: mates is {mates!r}, expected 'best' or 'itself'")
    breeding = space.learning.breeding if breeding is None else breeding
    if not isinstance(breeding, Breeding):
        raise ValueError(
            f"{where}: breeding is {breeding!r}, expected a Breeding; members of space {space.name!r} beget none of "
            "their own"
        )
    # A share such as 0.29 of 100 falls short of 29 by a rounding.
    count, pool = int(fraction * population + 1e-9), max(2, int(parents * population + 1e-9))
    if fraction and not count:
        raise ValueError(
            f"{where}: fraction is {fraction} of {population} members, which is nobody; expected a share of at least "
            f"{1 / population:.3g}, or 0 to replace none"
        )
    if begin is not None:
        check_function(where, "begin", begin, "member -> member, or None")
    units = len(breeding.units)
    newborn = space if begin is None else _beginning(space, briefly()(begin))
    draw = briefly()(breeding.draw)

    def init(key: jax.Array) -> ReplacementState:
        member_key, own_key = split_key(key, 2)
        return ReplacementState(
            genomes=drawn(newborn, member_key, population),
            fitness=np.zeros((population, 0)),
            generation=np.asarray(0),
            numbers=np.arange(population),
            born=np.asarray(population),
            births=_nobody(population, units),
            key=own_key,
        )

    def plan(state: ReplacementState) -> list[_Plan]:
        if not state.generation or not count:
            return []
        usable = pareto.finite(state.fitness)
        score = np.where(usable, state.fitness[:, 0], -np.inf)
        order = np.argsort(score, kind="stable")
        gone = [int(row) for place, row in enumerate(order) if place < count or not usable[row]]
        best = [int(row) for row in order[::-1][:pool] if usable[row] and row not in gone]
        key = fold_in(state.key, int(state.generation))
        plans = []
        # One by one: a program for all children would be another one whenever more members fail.
        for child, place in enumerate(gone):
            pair_key, child_key = split_key(fold_in(key, child), 2)
            pair = best
            if len(best) > 2 or mates == "itself":
                pair = [best[row] for row in np.asarray(_pair(pair_key, len(best)))]
            if mates == "itself" or len(pair) == 1:
                pair = pair[:1] * 2
            better, other = sorted(pair, key=lambda row: -score[row]) if pair else (-1, -1)
            plans.append(_Plan(place, better, other, not usable[place], child_key, np.asarray(draw(child_key))))
        return plans

    def ask(key: jax.Array, state: ReplacementState) -> PyTree:
        del key
        members = jax.tree.map(np.copy, state.genomes)
        for child in plan(state):
            if child.better < 0:
                made = select(drawn(newborn, child.key, 1), 0)
            else:
                better, other = select(state.genomes, child.better), select(state.genomes, child.other)
                made = jax.device_get(breeding.make(child.key, better, other, child.taken))
            for whole, leaf in zip(jax.tree.leaves(members), jax.tree.leaves(made), strict=True):
                whole[child.place] = leaf
        return members

    def tell(key: jax.Array, state: ReplacementState, genomes: PyTree, fitness: Any) -> ReplacementState:
        del key
        check_scores(where, genomes, fitness)
        fitness = pareto.check_fitness(where, fitness)
        numbers, born = state.numbers.copy(), int(state.born)
        births = _nobody(population, units)
        for child in plan(state):
            births.replaced[child.place], births.diverged[child.place] = numbers[child.place], child.diverged
            if child.better >= 0:
                births.better[child.place] = state.numbers[child.better]
                births.other[child.place] = state.numbers[child.other]
                births.taken[child.place] = child.taken
            if child.diverged:
                _log.warning(
                    "member %d diverged, its fitness is not finite; member %d took its place",
                    numbers[child.place], born,
                )  # fmt: skip
            numbers[child.place], born = born, born + 1
        return ReplacementState(
            on_host(genomes), fitness, np.asarray(state.generation + 1), numbers, np.asarray(born), births, state.key
        )

    def report(state: ReplacementState) -> dict[str, Any]:
        births = state.births
        rows = np.flatnonzero(births.replaced >= 0)
        return {
            "numbers": state.numbers,
            "scores": [None if not np.isfinite(score) else float(score) for score in state.fitness[:, 0]],
            "births": [
                {
                    "number": int(state.numbers[row]),
                    "better": int(births.better[row]),
                    "other": int(births.other[row]),
                    "taken": [breeding.units[unit] for unit in np.flatnonzero(births.taken[row])],
                    "replaced": int(births.replaced[row]),
                    "diverged": bool(births.diverged[row]),
                }
                for row in rows
            ],
        }

    settings = {
        "fraction": fraction, "parents": parents, "mates": mates, "breeding": breeding.name, **breeding.settings,
        "begins": begin is not None,
    }  # fmt: skip
    return Strategy(where, space, population, init, ask, tell, host=True, settings=settings, report=report)


def _beginning(space: Space, begin: Callable[[Member], Member]) -> Space:
    """Returns a space whose members have the optimiser state that they begin with."""
    init = space.init
    assert init is not None
    return dataclasses.replace(space, init=lambda key, genome: begin(init(key, genome)))


@briefly(1)
def _pair(key: jax.Array, pool: int) -> jax.Array:
    """Draws two of a pool, or as many as it holds."""
    return jax.random.permutation(key, pool)[:2]


def _nobody(count: int, units: int) -> Births:
    """Returns the births of a population in which nobody was born."""
    better, other, replaced = (np.full(count, -1) for _ in range(3))
    return Births(better, other, np.zeros((count, units), bool), replaced, np.zeros(count, bool))


def _check_share(where: str, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError(f"{where}: {name} is {value!r}, expected a share in [0, 1)")
    return float(value)
