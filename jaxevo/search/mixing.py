"""Gene-pool optimal mixing, the steps of GOMEA, for a whole population at once.

In one round each member in turn takes the genes of a subset from a donor, is scored, and keeps them where that is no
loss; it does so for every subset of its family in a random order. Donors are of the population as it was when the round
began, so all members mix side by side, and what they would become next is scored as one batch. A step that changes no
gene, or only genes that the network does not use, is done without scoring. The archive is the only thing that members
share within a round: it has seen the earlier steps of all, not all steps of the earlier members.

Source: Luong, La Poutré, Bosman 2018, "Multi-objective Gene-pool Optimal Mixing Evolutionary Algorithm with the
interleaved multi-start scheme".

n is the size of the population, G the number of genes, m that of objectives, p that of pools, f that of subsets.
"""

import numpy as np

from jaxevo.search.archive import enter
from jaxevo.search.rounds import GOMEAState, Settings, Steps, begin, uniform
from jaxevo.search.strategy import Scored

#: Rounds in a row that may change nothing before the search is over.
TRIES = 10


def judge(state: GOMEAState, fitness: np.ndarray) -> GOMEAState:
    """Decides which of the first proposals their members keep, one after another, and shows each to the archive.

    Args:
      state: with proposals.
      fitness: of the first few of them, [at most pending, m].

    Returns:
      The state, with the other proposals left.
    """
    told = len(fitness)
    genomes, archive, steps = state.genomes.copy(), state.archive, Steps(*(part.copy() for part in state.steps))
    scores = state.fitness.copy()
    if not scores.shape[1]:
        scores = np.full((len(genomes), fitness.shape[1]), np.nan)
        archive = Scored(archive.genomes, fitness[:0])
    subsets, improved = state.round.subsets.shape[1], bool(state.improved)
    for member, genome, score in zip(state.pending[:told], state.proposals[:told], fitness, strict=True):
        archive, dominated, new = enter(archive, genome, score)
        improved |= new
        forced = bool(steps.forced[member])
        steps.taken[member] += 1
        if keeps(scores[member], score, int(state.round.aims[member]), forced, dominated, new):
            genomes[member], scores[member], steps.changed[member] = genome, score, True
            if forced:
                steps.taken[member] = 2 * subsets
    return state._replace(
        genomes=genomes,
        fitness=scores,
        generation=np.asarray(state.generation + 1),
        archive=archive,
        pending=state.pending[told:],
        proposals=state.proposals[told:],
        steps=steps,
        improved=np.asarray(improved),
        evaluations=np.asarray(state.evaluations + told),
    )


def keeps(before: np.ndarray, after: np.ndarray, aim: int, forced: bool, dominated: bool, new: bool) -> bool:
    """Says whether a member keeps what a step made of it.

    Args:
      before, after: fitness [m] of the member and of the offspring; one that is not finite never replaces another.
      aim: the objective that alone counts, -1 for all.
      forced: whether it has to be better, rather than no worse.
      dominated: whether the archive dominates the offspring.
      new: whether the offspring entered the archive.
    """
    if not np.isfinite(after).all():
        return False
    if not np.isfinite(before).all():
        return True
    if aim >= 0:
        return bool(after[aim] > before[aim] or (not forced and after[aim] == before[aim]))
    no_worse = bool((after >= before).all())
    if forced:
        return new or (no_worse and bool((after > before).any()))
    return no_worse or not dominated


def propose(settings: Settings, state: GOMEAState) -> GOMEAState:
    """Finds the next steps to score, in the round in progress or in the next ones.

    Args:
      settings: of the search.
      state: without proposals.

    Returns:
      The state with proposals; without any where a number of rounds in a row changed nothing.
    """
    for _ in range(TRIES):
        if state.rounds > 0:
            state = _advance(settings, state)
        if len(state.pending):
            break
        state = begin(settings, state)
    return state


def _advance(settings: Settings, state: GOMEAState) -> GOMEAState:
    """Takes every member to its next step that makes another network; all before are done without asking."""
    genomes, proposals = state.genomes.copy(), state.genomes.copy()
    fitness, steps = state.fitness.copy(), Steps(*(part.copy() for part in state.steps))
    count, subsets = len(genomes), state.round.subsets.shape[1]
    donors = _Donors(state)
    identities = settings.identify(genomes)
    searching, unchanged = np.ones(count, bool), 0
    while True:
        _force(state, steps, subsets)
        members = np.flatnonzero(searching & (steps.taken < subsets * (1 + steps.forced)))
        if not len(members):
            break
        mixed = donors.mix(genomes, steps, members)
        differs = (mixed != genomes[members]).any(axis=1)
        steps.taken[members[~differs]] += 1
        members, mixed = members[differs], mixed[differs]
        if not len(members):
            continue
        # All of them are given, so that this compiles once.
        proposals[members] = mixed
        same = (settings.identify(proposals)[members] == identities[members]).all(axis=1)
        unchanged += int(same.sum())
        searching[members[~same]] = False
        steps.taken[members[same]] += 1
        kept = same & ~steps.forced[members]
        genomes[members[kept]], steps.changed[members[kept]] = mixed[kept], True
    failed = np.flatnonzero(searching & steps.forced & ~steps.changed)
    genomes[failed], fitness[failed] = donors.elite(failed, 0)
    steps.changed[failed] = True
    pending = np.flatnonzero(~searching)
    return state._replace(
        genomes=genomes,
        fitness=fitness,
        pending=pending,
        proposals=proposals[pending],
        steps=steps,
        unchanged=np.asarray(state.unchanged + unchanged),
    )


class _Donors:
    """Whose genes the members of a round take, drawn beforehand for every step."""

    def __init__(self, state: GOMEAState):
        self.round, self.archive = state.round, state.archive
        count, genes = state.genomes.shape
        self.subsets = np.unpackbits(state.round.subsets, axis=2, count=genes).astype(bool)
        draws = uniform(state, (5, count, self.subsets.shape[1]))
        self.orders = np.argsort(draws[:2], axis=2, kind="stable")
        self.draws = draws[2:]
        self.members = np.argsort(~state.round.pools, axis=1, kind="stable")
        self.sizes = state.round.pools.sum(axis=1)

    def mix(self, genomes: np.ndarray, steps: Steps, members: np.ndarray) -> np.ndarray:
        """Returns what members would become by their next step [members, G]."""
        forced, groups = steps.forced[members], self.round.groups[members]
        step = steps.taken[members] - self.subsets.shape[1] * forced
        chosen = (self.draws[0, members, step] * self.sizes[groups]).astype(np.int64)
        donors = self.round.parents[self.members[groups, chosen]]
        if forced.any():
            donors[forced] = self.elite(members[forced], step[forced], 1)[0]
        subsets = self.subsets[groups, self.orders[forced.astype(np.int64), members, step]]
        return np.where(subsets, donors, genomes[members])

    def elite(self, members: np.ndarray, step: np.ndarray | int, draw: int = 2) -> tuple[np.ndarray, np.ndarray]:
        """Returns for each member the genome and fitness of one of the archive: any, or the best for its aim."""
        if not len(members):
            return self.archive.genomes[:0], self.archive.fitness[:0]
        aims = self.round.aims[members]
        anyone = (self.draws[draw, members, step] * len(self.archive.fitness)).astype(np.int64)
        chosen = np.where(aims >= 0, self.archive.fitness.argmax(axis=0)[aims], anyone)
        return self.archive.genomes[chosen], self.archive.fitness[chosen]


def _force(state: GOMEAState, steps: Steps, subsets: int) -> None:
    """Begins the forced improvement of members, in `steps`, that went through a round in vain, or of all when stuck."""
    if len(state.archive.fitness):
        patience = 1 + int(np.log10(len(state.genomes)))
        vain = ~steps.changed | (state.stagnant > patience)
        begins = (steps.taken == subsets) & ~steps.forced & vain
        steps.forced[begins], steps.changed[begins] = True, False
