"""GOMEA: a search that learns which genes belong together, for several objectives."""

import math
from typing import Any

import jax
import numpy as np

from jaxevo.checks import nearest
from jaxevo.programs import split_key
from jaxevo.search import pareto
from jaxevo.search.mixing import judge, propose
from jaxevo.search.rounds import GOMEAState, Settings, started
from jaxevo.search.strategy import Strategy, check_count, check_scores, check_space, check_vectors, on_host, phenotypes
from jaxevo.space import Space

#: What linkage may be learned as.
LINKAGES = ("tree", "kernels", "univariate")


def gomea(
    space: Space,
    population: int = 64,
    clusters: int | None = None,
    linkage: str = "tree",
    neighbours: int | None = None,
) -> Strategy:
    """Builds multi-objective GOMEA for a space whose genomes are vectors of integers.

    A member keeps a step where the offspring is at least as good in all objectives or nothing in the archive dominates
    it; in a cluster at the end of the front, where it is at least as good in that one objective. A member that kept no
    step in a round, and every one once 1 + log10(n) rounds have not added to the archive, tries again with donors from
    the archive until something is better, and else becomes a member of the archive. Only crossover is used, never
    `space.vary`: the population has to be large enough to hold every option of every gene.

    The numbers `evaluations` and `unchanged` of its state are in the history of a run.

    Args:
      space: where genomes come from; one integer array [G] each, any number of options per gene.
      population: its members, at least 2.
      clusters: of the population by fitness, at least 1; by default log2(population), which is 3 for 8 and one more for
        each doubling.
      linkage: "tree" learns a linkage tree for each cluster, "kernels" one for each member from its neighbours, which
        are its donors; "univariate" takes each gene by itself.
      neighbours: for "kernels", how many nearest genomes are neighbours of a member, at least 1; by default
        sqrt(population).

    Returns:
      A host strategy. Its `archive` is the front of all it has scored.

    Raises:
      TypeError, ValueError: where an argument is not as above.

    Source: Luong, La Poutré, Bosman 2018, "Multi-objective Gene-pool Optimal Mixing Evolutionary Algorithm with the
    interleaved multi-start scheme" (one population, without the multi-start); kernels: Guijt, Thierens, Alderliesten,
    Bosman 2022 (arXiv 2203.05970).
    """
    check_space("gomea", space)
    check_vectors("gomea", space)
    population = check_count("gomea", "population", population, 2)
    default = population.bit_length() - 1
    clusters = default if clusters is None else check_count("gomea", "clusters", clusters, 1, population)
    if linkage not in LINKAGES:
        known = ", ".join(map(repr, LINKAGES))
        raise ValueError(f"gomea: linkage is {linkage!r}; {nearest(linkage, LINKAGES)}expected one of {known}")
    if neighbours is not None and linkage != "kernels":
        raise ValueError(f"gomea: neighbours is {neighbours!r}, but linkage is {linkage!r}; only 'kernels' has any")
    default = min(population - 1, math.isqrt(population - 1) + 1)
    neighbours = default if neighbours is None else check_count("gomea", "neighbours", neighbours, 1, population - 1)
    settings = Settings(clusters, linkage, neighbours, phenotypes(space))

    def init(key: jax.Array) -> GOMEAState:
        sample_key, key = split_key(key, 2)
        return started(key, on_host(space.sample(sample_key, population)))

    def ask(key: jax.Array, state: GOMEAState) -> np.ndarray:
        del key
        return state.proposals

    def tell(key: jax.Array, state: GOMEAState, genomes: np.ndarray, fitness: Any) -> GOMEAState:
        del key
        check_scores("gomea", genomes, fitness)
        fitness = pareto.check_fitness("gomea", fitness)
        _check_told(state, np.asarray(genomes), fitness)
        state = judge(state, fitness)
        return state if len(state.pending) else propose(settings, state)

    known = {"clusters": clusters, "linkage": linkage, "neighbours": neighbours if linkage == "kernels" else None}
    return Strategy("gomea", space, population, init, ask, tell, host=True, settings=known, report=_report)


def _report(state: GOMEAState) -> dict[str, int]:
    return {"unchanged": int(state.unchanged)}


def _check_told(state: GOMEAState, genomes: np.ndarray, fitness: np.ndarray) -> None:
    if not np.array_equal(genomes, state.proposals[: len(genomes)]):
        raise ValueError(
            f"gomea: tell was given {list(genomes.shape)} genomes that are not the first of the "
            f"{len(state.proposals)} asked for; give back what ask returned, in its order"
        )
    known = state.fitness.shape[1]
    if known and fitness.shape[1] != known:
        raise ValueError(f"gomea: fitness has {fitness.shape[1]} objectives, expected {known} as before")
