import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import search
from jaxevo.search import mixing, pareto
from tests.search import toys

KEY = jax.random.key(0)
LINKAGES = ("tree", "kernels", "univariate")

#: Distinct genomes after which a search for the front of the traps is given up.
MOST = 6000


def go(strategy, evaluate=None, generations=10_000, key=KEY, **settings):
    evaluate = toys.Counting() if evaluate is None else evaluate
    return search.run(key, strategy, evaluate, generations, progress=False, **settings), evaluate


def needed(strategy, seed, most):
    """Returns how many distinct genomes are scored until the front of the traps is complete, or `most`."""
    key = jax.random.key(seed)
    state, seen, missing = strategy.init(key), set(), set(toys.TRAPS_FRONT)
    for generation in range(most):
        ask_key, tell_key = jax.random.split(jax.random.fold_in(key, generation))
        genomes = np.asarray(strategy.ask(ask_key, state))
        fitness = toys.traps(genomes)
        seen |= {genome.tobytes() for genome in genomes}
        missing -= {tuple(row) for row in fitness}
        if not missing or len(seen) >= most or not len(genomes):
            break
        state = strategy.tell(tell_key, state, genomes, fitness)
    return most if missing else len(seen)


@pytest.fixture(scope="module")
def others():
    """How many distinct genomes NSGA-II needs, by seed."""
    return [needed(search.nsga2(toys.genes_space(), 64), seed, MOST) for seed in range(5)]


@pytest.mark.parametrize("linkage", ["tree", "kernels"])
def test_the_whole_front_of_deceptive_traps_is_found_with_fewer_networks_than_nsga2_needs(linkage, others):
    found = [needed(search.gomea(toys.genes_space(), 64, linkage=linkage), seed, MOST) for seed in range(5)]
    assert max(found) < MOST
    assert all(a < b for a, b in zip(found, others, strict=True))


@pytest.mark.smoke
def test_the_front_is_the_archive_of_all_that_was_scored():
    result, evaluate = go(search.gomea(toys.genes_space(), 16), generations=30)
    fitness = np.concatenate([toys.traps(batch) for batch in evaluate.batches])
    assert sorted(map(tuple, result.front.fitness)) == sorted({tuple(row) for row in fitness[pareto.front(fitness)]})
    np.testing.assert_array_equal(toys.traps(result.front.genomes), result.front.fitness)
    np.testing.assert_array_equal(toys.traps(result.population.genomes), result.population.fitness)
    assert result.history[-1]["front"] == len(result.front.fitness)
    assert result.history[-1]["best"]["objective 1"] == fitness[:, 0].max()


def member(genome, parents, aim, subsets, order, donor, forced_order, forced_draws, fallback, shared):
    """One member's round as the papers write it; yields what it wants scored and is sent the fitness."""
    genome, fitness = list(genome), toys.traps([genome])[0]
    changed = False
    for step, subset in enumerate(order):
        before, trial = list(genome), list(genome)
        for gene in subsets[subset]:
            trial[gene] = parents[donor[step]][gene]
        if trial == before:
            continue
        score, dominated, _ = yield trial
        better = score[aim] >= fitness[aim] if aim >= 0 else (score >= fitness).all() or not dominated
        if better:
            genome, fitness, changed = trial, score, True
    if changed and not shared["stuck"]:
        return genome, fitness
    for step, subset in enumerate(forced_order):
        trial = list(genome)
        elite = shared["elite"](aim, forced_draws[step])
        for gene in subsets[subset]:
            trial[gene] = elite[gene]
        if trial == genome:
            continue
        score, _, new = yield trial
        dominates = (score >= fitness).all() and (score > fitness).any()
        if score[aim] > fitness[aim] if aim >= 0 else new or dominates:
            return trial, score
    elite = list(shared["elite"](aim, fallback))
    return elite, toys.traps([elite])[0]


def reference_round(state):
    """Plays one round member by member, and returns the members after it and what was scored, batch by batch."""
    count, genes = state.genomes.shape
    subsets = np.unpackbits(state.round.subsets, axis=2, count=genes)
    draws = mixing.uniform(state, (5, count, subsets.shape[1]))
    archive = [(list(g), tuple(f)) for g, f in zip(state.archive.genomes, state.archive.fitness, strict=True)]

    def elite(aim, draw):
        if aim >= 0:
            return max(archive, key=lambda entry: entry[1][aim])[0]
        return archive[int(draw * len(archive))][0]

    shared = {"elite": elite, "stuck": state.stagnant > 1 + np.floor(np.log10(count))}
    play = []
    for i in range(count):
        pool = np.flatnonzero(state.round.pools[state.round.groups[i]])
        donor = [pool[int(draw * len(pool))] for draw in draws[2, i]]
        sets = [np.flatnonzero(subset) for subset in subsets[state.round.groups[i]]]
        play.append(
            member(state.genomes[i], state.round.parents, state.round.aims[i], sets, np.argsort(draws[0, i]), donor,
                   np.argsort(draws[1, i]), draws[3, i], draws[4, i, 0], shared)
        )  # fmt: skip
    ended, batches, answers = {}, [], dict.fromkeys(range(count))
    while answers:
        asked = {}
        for i, answer in answers.items():
            try:
                asked[i] = play[i].send(answer)
            except StopIteration as end:
                ended[i] = end.value
        batches.append(np.array(list(asked.values())))
        answers = {}
        for i, trial in asked.items():
            score = toys.traps([trial])[0]
            as_good = [entry for entry in archive if (np.array(entry[1]) >= score).all()]
            dominated = any(entry[1] != tuple(score) for entry in as_good)
            if not as_good:
                archive[:] = [entry for entry in archive if not (np.array(entry[1]) <= score).all()]
                archive.append((trial, tuple(score)))
            answers[i] = score, dominated, not as_good
    return [ended[i] for i in range(count)], batches[:-1]


@pytest.mark.parametrize("linkage", LINKAGES)
def test_members_side_by_side_do_what_each_does_alone(linkage):
    strategy = search.gomea(toys.genes_space(), 12, clusters=4, linkage=linkage)
    state = strategy.init(KEY)
    state = strategy.tell(KEY, state, state.proposals, toys.traps(state.proposals))
    forced = 0
    for _ in range(12):
        rounds = int(state.rounds)
        # Members take the steps that ask for nothing as soon as they can: begin from where they all stood.
        began = state._replace(genomes=state.round.parents)
        expected, batches = reference_round(began)
        for batch in batches:
            np.testing.assert_array_equal(state.proposals, batch)
            forced += int(state.steps.forced.sum())
            state = strategy.tell(KEY, state, batch, toys.traps(batch))
        assert state.rounds > rounds
        np.testing.assert_array_equal(state.round.parents, np.array([genome for genome, _ in expected]))
        if not len(state.pending):
            break
    assert forced


def test_any_first_part_of_a_batch_may_be_told_and_changes_nothing():
    strategy = search.gomea(toys.genes_space(), 10)
    whole = parts = strategy.init(KEY)
    for _ in range(25):
        whole = strategy.tell(KEY, whole, whole.proposals, toys.traps(whole.proposals))
        for size in (3, 1, 10):
            told = parts.proposals[: min(size, len(parts.pending))]
            parts = strategy.tell(KEY, parts, told, toys.traps(told))
            if parts.evaluations == whole.evaluations:
                break
        assert parts.evaluations == whole.evaluations
        toys.assert_same_bits(parts._replace(generation=0), whole._replace(generation=0))


@jax.jit
def half_is_silent(genome):
    """The second half of the genes is used only where the first gene is 1."""
    return jnp.where((jnp.arange(toys.GENES) < toys.GENES // 2) | (genome[0] == 1), genome, 0)


@pytest.mark.parametrize("linkage", LINKAGES)
def test_what_changes_only_unused_genes_is_never_asked_for_but_counted(linkage):
    def used(genomes):
        return np.array([half_is_silent(genome) for genome in genomes])

    def score(genomes):
        return toys.traps(used(genomes))

    strategy = search.gomea(toys.genes_space(half_is_silent), 16, linkage=linkage)
    state = strategy.tell(KEY, *[(s := strategy.init(KEY)), s.proposals, score(s.proposals)])
    asked = 16
    while len(state.pending) and state.rounds < 5:
        before, after = state.genomes[state.pending], state.proposals
        assert (used(before) != used(after)).any(axis=1).all()
        asked += len(after)
        state = strategy.tell(KEY, state, after, score(after))
        np.testing.assert_array_equal(score(state.genomes), state.fitness)
    assert state.evaluations == asked
    assert state.unchanged > 0


def test_the_history_tells_what_was_asked_for_and_what_changed_nothing():
    strategy = search.gomea(toys.genes_space(half_is_silent), 16)
    result, evaluate = go(strategy, generations=30)
    assert result.history[-1]["evaluations"] == sum(map(len, evaluate.batches)) == result.state.evaluations
    assert result.history[-1]["unchanged"] == result.state.unchanged > 0


@pytest.mark.parametrize("linkage", LINKAGES)
def test_failures_never_win(linkage):
    def fragile(genomes):
        fitness = toys.traps(genomes) + 100 * np.asarray(genomes)[:, :1]
        fitness[np.asarray(genomes)[:, 1] == 1, 0] = np.nan
        fitness[np.asarray(genomes)[:, 2] == 1, 1] = np.inf
        return fitness

    result, evaluate = go(search.gomea(toys.genes_space(), 16, linkage=linkage), toys.Counting(fragile), generations=60)
    assert any(~np.isfinite(fragile(batch)).all() for batch in evaluate.batches)
    assert np.isfinite(result.population.fitness).all()
    assert np.isfinite(result.front.fitness).all()
    assert not result.front.genomes[:, 1:3].any()


@pytest.mark.parametrize("linkage", LINKAGES)
def test_a_search_in_which_everything_fails_goes_on_and_finds_nothing(linkage):
    def failing(genomes):
        return np.full((len(genomes), 2), np.nan)

    result, _ = go(search.gomea(toys.genes_space(), 8, linkage=linkage), toys.Counting(failing), generations=20)
    assert result.best is None
    assert len(result.front.fitness) == 0


def test_a_population_without_differences_ends_the_run():
    space = toys.genes_space(options=1)
    result, evaluate = go(search.gomea(space, 8))
    assert [len(batch) for batch in evaluate.batches] == [8]
    assert len(result.history) == 1


@pytest.mark.parametrize("linkage", LINKAGES)
def test_genes_may_have_any_number_of_options_and_populations_any_size(linkage):
    def score(genomes):
        sums = np.asarray(genomes).sum(axis=1)
        return np.stack([sums, -np.abs(sums - 7)], axis=1)

    space = toys.genes_space(options=5)
    for population in (2, 9):
        result, _ = go(search.gomea(space, population, linkage=linkage), toys.Counting(score), generations=40)
        assert result.population.genomes.shape == (population, toys.GENES)
        assert result.state.generation >= 1


def test_one_gene_and_one_objective_are_enough():
    space = toys.genes_space(options=9, genes=1)
    strategy = search.gomea(space, 12)
    result = search.run(KEY, strategy, lambda k, p, g: (g, -np.abs(g - 4.0)), 50, progress=False)
    assert len(result.front.fitness) == 1
    assert result.front.fitness[0] == result.population.fitness.max()


def test_tell_changes_nothing_it_was_given():
    strategy = search.gomea(toys.genes_space(), 12)
    state = strategy.init(KEY)
    for _ in range(8):
        before = jax.tree.map(lambda leaf: leaf if isinstance(leaf, jax.Array) else np.copy(leaf), state)
        told = strategy.tell(KEY, state, state.proposals, toys.traps(state.proposals))
        toys.assert_same_bits(state, before)
        state = told


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: search.gomea("toy"), TypeError, "gomea: space is 'toy'"),
        (lambda: search.gomea(toys.space()), ValueError, "gomea: genomes of space 'toy'.*one array of integers"),
        (lambda: search.gomea(toys.genes_space(), 1), ValueError, "gomea: population is 1"),
        (lambda: search.gomea(toys.genes_space(), 8, 9), ValueError, "gomea: clusters is 9.*between 1 and 8"),
        (lambda: search.gomea(toys.genes_space(), linkage="trees"), ValueError, ".*did you mean 'tree'"),
        (lambda: search.gomea(toys.genes_space(), neighbours=3), ValueError, "neighbours is 3, but linkage is 'tree'"),
        (
            lambda: search.gomea(toys.genes_space(), 8, linkage="kernels", neighbours=8),
            ValueError,
            "gomea: neighbours is 8.*between 1 and 7",
        ),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_fitness_of_genomes_that_were_not_asked_for_is_refused():
    strategy = search.gomea(toys.genes_space(), 4)
    state = strategy.init(KEY)
    with pytest.raises(ValueError, match=r"gomea: tell was given .* not the first of the 4 asked for"):
        strategy.tell(KEY, state, 1 - state.genomes, np.zeros((4, 2)))
    state = strategy.tell(KEY, state, state.genomes, toys.traps(state.genomes))
    with pytest.raises(ValueError, match="gomea: fitness has 3 objectives, expected 2"):
        strategy.tell(KEY, state, state.proposals, np.zeros((len(state.proposals), 3)))
