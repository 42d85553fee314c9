import jax
import numpy as np
import pytest

from jaxevo import search
from jaxevo.search import pareto
from tests.search import toys


class Recording:
    """Keeps what it was asked to score."""

    def __init__(self):
        self.batches = []

    def __call__(self, key, params, genomes):
        genomes, fitness = toys.evaluate(key, params, genomes)
        self.batches.append((np.asarray(genomes["bits"]), np.asarray(fitness)))
        return genomes, fitness


def search_at_random(generations, canonical=toys.last_two_are_silent, **settings):
    evaluate = Recording()
    strategy = search.random_search(toys.space(canonical), 32, **settings)
    return search.run(jax.random.key(5), strategy, evaluate, generations, progress=False), evaluate.batches


@pytest.mark.smoke
def test_no_network_is_drawn_twice_until_the_space_is_used_up():
    result, batches = search_at_random(100)
    effective = np.concatenate([bits for bits, _ in batches])[:, :8]
    assert len(effective) == len({row.tobytes() for row in effective})
    assert 250 <= len(effective) <= 256
    assert result.history[-1]["evaluations"] == len(effective)


def test_total_is_met_exactly_by_a_smaller_last_batch():
    result, batches = search_at_random(100, total=75)
    assert [len(bits) for bits, _ in batches] == [32, 32, 11]
    assert len(result.history) == 3


def test_the_archive_is_the_front_of_all_that_was_drawn():
    result, batches = search_at_random(5)
    fitness = np.concatenate([scores for _, scores in batches])
    expected = sorted(map(tuple, fitness[pareto.front(fitness)]))
    assert sorted(map(tuple, result.population.fitness)) == expected


def test_not_distinct_draws_whatever_comes():
    result, batches = search_at_random(20, distinct=False, total=600)
    assert sum(len(bits) for bits, _ in batches) == 600
    assert result.history[-1]["evaluations"] == 600


def test_an_empty_archive_of_failures_can_go_on():
    strategy = search.random_search(toys.space(), 4)
    state = strategy.init(jax.random.key(0))
    for generation in range(2):
        genomes = strategy.ask(jax.random.key(generation), state)
        state = strategy.tell(jax.random.key(0), state, genomes, np.full((4, 2), np.nan))
    assert state.fitness.shape == (0, 2)
    assert len(state.seen) == 8


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"population": 0}, ValueError, "random_search: population is 0"),
        ({"population": 4, "total": 0}, ValueError, "random_search: total is 0"),
        ({"population": 4, "distinct": 1}, TypeError, "random_search: distinct is 1"),
    ],
)
def test_wrong_arguments_are_refused_by_name(settings, error, message):
    with pytest.raises(error, match=message):
        search.random_search(toys.space(), **settings)
