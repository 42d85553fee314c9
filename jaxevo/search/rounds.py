"""The state of GOMEA, and how its rounds begin: clusters of the population and the linkage that is learned in them.

n is the size of the population, G the number of genes, m that of objectives, p that of pools, f that of subsets.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.search import pareto
from jaxevo.search.clustering import cluster
from jaxevo.search.linkage import families, kernels
from jaxevo.search.strategy import Scored


class Settings(NamedTuple):
    """Settings of GOMEA.

    clusters: of the population by fitness, at most.
    linkage: "tree", "kernels" or "univariate".
    neighbours: nearest genomes that are neighbours of a member, for kernels.
    identify: `genomes -> [n, 16]`, equal for genomes that are the same network.
    """

    clusters: int
    linkage: str
    neighbours: int
    identify: Callable[[np.ndarray], np.ndarray]


class Round(NamedTuple):
    """What stays as it is while a population mixes once.

    parents: int [n, G], the population when the round began.
    pools: bool [p, n], which parents are donors together.
    groups: int [n], the pool of each member.
    aims: int [n], the objective that alone counts for a member, -1 where all of them do.
    subsets: uint8 [p, f, ceil(G / 8)], the subsets of each pool, eight genes to a byte.
    """

    parents: np.ndarray
    pools: np.ndarray
    groups: np.ndarray
    aims: np.ndarray
    subsets: np.ndarray


class Steps(NamedTuple):
    """How far each member is in its round.

    taken: int [n], mixing steps it has taken; from f on those of the forced improvement.
    changed: bool [n], whether a step was kept; since it began, once the improvement is forced.
    forced: bool [n], whether its improvement is forced.
    """

    taken: np.ndarray
    changed: np.ndarray
    forced: np.ndarray


class GOMEAState(NamedTuple):
    """The state of GOMEA.

    genomes: int [n, G], the members with what they have kept so far.
    fitness: [n, m], larger is better, NaN where not scored yet; [n, 0] before the first generation.
    generation: how many batches were scored, 0-d.
    archive: all that nothing ever scored dominates, one genome for each vector of objectives.
    pending: int, the members whose next step is to be scored, ascending.
    proposals: int [pending, G], what they would become.
    round, steps: the round in progress, and each member's steps in it.
    rounds: how many rounds have begun, 0-d.
    stagnant: how many rounds in a row have added nothing to the archive, 0-d.
    improved: whether the round in progress has, 0-d.
    evaluations: how many genomes were asked for and scored, 0-d.
    unchanged: how many steps changed only genes that are not used, and were not asked for, 0-d.
    key: whatever is random in the search.
    """

    genomes: np.ndarray
    fitness: np.ndarray
    generation: np.ndarray
    archive: Scored
    pending: np.ndarray
    proposals: np.ndarray
    round: Round
    steps: Steps
    rounds: np.ndarray
    stagnant: np.ndarray
    improved: np.ndarray
    evaluations: np.ndarray
    unchanged: np.ndarray
    key: jax.Array


def started(key: jax.Array, genomes: np.ndarray) -> GOMEAState:
    """Returns the state in which a population is to be scored for the first time.

    Args:
      key: a key, of which everything random in the search is made.
      genomes: int [n, G].
    """
    count, genes = genomes.shape
    whole = np.zeros(count, np.int64)
    nothing = Round(genomes, np.zeros((0, count), bool), whole, whole - 1, np.zeros((0, 0, -(-genes // 8)), np.uint8))
    return GOMEAState(
        genomes=genomes,
        fitness=np.zeros((count, 0)),
        generation=np.asarray(0),
        archive=Scored(genomes[:0], np.zeros((0, 0))),
        pending=np.arange(count),
        proposals=genomes,
        round=nothing,
        steps=_no_steps(count),
        rounds=np.asarray(0),
        stagnant=np.asarray(0),
        improved=np.asarray(False),
        evaluations=np.asarray(0),
        unchanged=np.asarray(0),
        key=key,
    )


def begin(settings: Settings, state: GOMEAState) -> GOMEAState:
    """Clusters the population, learns its linkage, and begins a round.

    Args:
      settings: of the search.
      state: with all members scored and no round in progress.

    Returns:
      The state at the beginning of the round.
    """
    count, genes = state.genomes.shape
    cluster_key, near_key, tie_key, _ = _keys(state.key, state.rounds + 1)
    usable = pareto.finite(state.fitness)
    if usable.any():
        pools, groups, aims = cluster(cluster_key, state.fitness, settings.clusters)
    else:
        usable = ~usable
        pools, groups, aims = usable[None], np.zeros(count, np.int64), np.full(count, -1)
    if settings.linkage == "kernels":
        pools, groups = kernels(near_key, state.genomes, usable, settings.neighbours), np.arange(count)
    if settings.linkage == "univariate":
        subsets = np.broadcast_to(np.eye(genes, dtype=bool), (len(pools), genes, genes))
    else:
        ties = np.argsort(_uniform(tie_key, (count, genes)), axis=1)
        subsets = families(state.genomes, pools, ties[: len(pools)])
    idle = state.stagnant + 1 if state.rounds > 0 and not state.improved else 0
    return state._replace(
        round=Round(state.genomes, pools, groups, aims, np.packbits(subsets, axis=2)),
        steps=_no_steps(count),
        rounds=np.asarray(state.rounds + 1),
        stagnant=np.asarray(idle),
        improved=np.asarray(False),
    )


def uniform(state: GOMEAState, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the draws from [0, 1) that belong to the steps of the round in progress, in double precision."""
    return _uniform(_keys(state.key, state.rounds)[-1], shape)


def _no_steps(count: int) -> Steps:
    return Steps(np.zeros(count, np.int64), np.zeros(count, bool), np.zeros(count, bool))


def _keys(key: jax.Array, number: np.ndarray | int) -> jax.Array:
    """Returns the four keys of a round: for clusters, neighbours, ties in linkage, and steps."""
    return jax.random.split(jax.random.fold_in(key, number), 4)


def _uniform(key: jax.Array, shape: tuple[int, ...]) -> np.ndarray:
    """Returns draws from [0, 1) in double precision, so that a multiple of them never rounds up to the next number."""
    return np.asarray(jax.random.uniform(key, shape, jnp.float32), np.float64)
