import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies as st
from pymoo.operators.survival.rank_and_crowding.metrics import get_crowding_function

from jaxevo import search
from jaxevo.search import multiobjective, pareto
from tests.search import toys


def started(strategy, seed=0):
    state = strategy.init(jax.random.key(seed))
    genomes = strategy.ask(jax.random.key(1), state)
    return strategy.tell(jax.random.key(2), state, *toys.evaluate(None, strategy.space.params, genomes))


def placement(rows):
    fitness = np.array([row[1] for row in rows], float)
    identities = np.zeros((len(rows), 16), np.uint8)
    identities[:, 0] = [row[0] for row in rows]
    return fitness, identities, *multiobjective.place(fitness, identities)


ROWS = st.lists(
    st.tuples(st.integers(0, 8), st.tuples(*[st.sampled_from([0.0, 1.0, 2.0, np.nan, np.inf])] * 2)),
    min_size=1,
    max_size=16,
)


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(ROWS)
def test_distinct_come_before_duplicates_before_failures(rows):
    fitness, identities, ranks, _ = placement(rows)
    usable = np.isfinite(fitness).all(axis=1)
    names = identities[:, 0]
    if not usable.any():
        assert len(set(ranks)) == 1
        return
    best = [min(ranks[usable & (names == name)]) for name in set(names[usable])]
    distinct = len(best)
    order = np.argsort(ranks, kind="stable")
    assert len(set(names[order[:distinct]])) == distinct
    assert usable[order[: usable.sum()]].all()
    assert ranks[order[distinct:]].min(initial=ranks.max() + 1) > max(best)


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(ROWS)
def test_distinct_genomes_are_placed_as_if_duplicates_were_not_there(rows):
    unique = list({name: (name, values) for name, values in rows}.values())
    fitness, _, ranks, crowding = placement(unique)
    usable = np.isfinite(fitness).all(axis=1)
    np.testing.assert_array_equal(ranks[usable], pareto.ranks(fitness)[usable])
    for rank in set(ranks[usable]):
        front = ranks == rank
        expected = get_crowding_function("cd").do(-fitness[front] + 0.0)
        np.testing.assert_allclose(crowding[front], expected)


def test_the_first_ask_is_a_sample_of_the_space():
    strategy = search.nsga2(toys.space(), population=8)
    state = strategy.init(jax.random.key(3))
    toys.assert_same_bits(
        strategy.ask(jax.random.key(9), state), jax.tree.map(np.asarray, toys.sample(jax.random.key(3), 8))
    )


@pytest.mark.smoke
def test_survivors_are_the_best_of_parents_and_offspring_and_distinct():
    strategy = search.nsga2(toys.space(toys.last_two_are_silent), population=16)
    state = strategy.init(jax.random.key(0))
    for generation in range(6):
        genomes = strategy.ask(jax.random.key(generation), state)
        _, fitness = toys.evaluate(None, strategy.space.params, toys.last_two_are_silent(genomes))
        before = np.concatenate([state.fitness, fitness]) if generation else np.asarray(fitness)
        state = strategy.tell(jax.random.key(0), state, genomes, fitness)
        everything, kept = pareto.front(before), pareto.front(state.fitness)
        if len(everything) <= 16:
            assert {tuple(row) for row in before[everything]} >= {tuple(row) for row in state.fitness[kept]}
        assert state.fitness[:, 0].max() == before[:, 0].max()
    effective = {row.tobytes() for row in np.asarray(state.genomes["bits"])[:, :8]}
    assert len(effective) == 16
    assert (np.diff(state.ranks) >= 0).all()


def test_nsga2_finds_the_whole_front_of_a_toy():
    # The best k bits are the k heaviest, for k from 0 to 10.
    result = search.run(jax.random.key(0), search.nsga2(toys.space(), 24), toys.evaluate, 80, progress=False)
    best = {(float(sum(range(11 - k, 11))), -float(k)) for k in range(11)}
    assert {tuple(row) for row in result.front.fitness} == best


def test_failures_never_win_and_never_breed_while_others_are_there():
    strategy = search.nsga2(toys.space(), population=6)
    state = strategy.init(jax.random.key(0))
    fitness = np.array([[np.nan, 9], [1, 1], [np.inf, 9], [2, 0], [0, 2], [-np.inf, 0]])
    state = strategy.tell(jax.random.key(0), state, strategy.ask(jax.random.key(1), state), fitness)
    assert np.isfinite(state.fitness[:3]).all()
    assert not np.isfinite(state.fitness[3:]).all(axis=1).any()
    genomes = strategy.ask(jax.random.key(5), state)
    state = strategy.tell(jax.random.key(0), state, genomes, np.ones((6, 2)))
    assert np.isfinite(state.fitness[:4]).all()


def test_tournaments_prefer_rank_then_crowding_and_let_all_take_part():
    ranks, crowding = np.array([0, 0, 1, 1]), np.array([1.0, 2.0, np.inf, 0.0])
    winners = multiobjective.tournaments(jax.random.key(0), ranks, crowding, 400)
    counts = np.bincount(winners, minlength=4)
    assert counts[1] == 200, "the best wins each of its 200 tournaments"
    assert counts[3] == 0, "the worst wins none"
    assert counts[0] > counts[2] > 0


@pytest.mark.parametrize(("population", "offspring"), [(7, 2), (2, 1), (5, 9)])
def test_offspring_may_be_fewer_or_more_than_the_population(population, offspring):
    strategy = search.nsga2(toys.space(), population, offspring)
    state = started(strategy)
    genomes = strategy.ask(jax.random.key(4), state)
    assert genomes["bits"].shape == (offspring, toys.BITS)
    state = strategy.tell(jax.random.key(5), state, *toys.evaluate(None, strategy.space.params, genomes))
    assert state.fitness.shape == (population, 2)
    assert state.generation == 2


def test_tell_changes_nothing_it_was_given():
    strategy = search.nsga2(toys.space(), population=8)
    state = started(strategy)
    before = jax.tree.map(np.copy, state)
    genomes = strategy.ask(jax.random.key(0), state)
    strategy.tell(jax.random.key(0), state, *toys.evaluate(None, strategy.space.params, genomes))
    toys.assert_same_bits(state, before)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: search.nsga2("toy"), TypeError, "nsga2: space is 'toy'"),
        (lambda: search.nsga2(toys.space(), 1), ValueError, "nsga2: population is 1"),
        (lambda: search.nsga2(toys.space(), 4, 0), ValueError, "nsga2: offspring is 0"),
        (lambda: search.nsga2(toys.space(), 4.0), TypeError, r"nsga2: population is 4\.0"),
    ],
)
def test_wrong_arguments_are_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_fitness_of_other_genomes_is_refused():
    strategy = search.nsga2(toys.space(), 4)
    state = strategy.init(jax.random.key(0))
    with pytest.raises(ValueError, match=r"nsga2: fitness is \[3, 1\] for 4 genomes"):
        strategy.tell(jax.random.key(0), state, state.genomes, np.zeros((3, 1)))
