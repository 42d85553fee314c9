"""The benchmark of search: its problem has the front it says, and what it counts are distinct genomes."""

import numpy as np
import pytest

from experiments.benchmarks.search import STRATEGIES, Settings, evaluations, figures, front, score, traps, tried
from jaxevo import search

SMALL = Settings(blocks=2, size=3, populations=(16, 32), seeds=2, most=64)


def everything(genes):
    return np.arange(2**genes)[:, None] >> np.arange(genes) & 1


@pytest.mark.parametrize(("blocks", "size"), [(1, 4), (2, 3), (3, 4)])
def test_the_known_front_is_that_of_all_genomes(blocks, size):
    fitness = score(everything(blocks * size), size)
    found = {tuple(row) for row in fitness[search.pareto.front(fitness)]}
    assert found == {tuple(row) for row in front(blocks, size)}


def test_distinct_genomes_are_counted_until_the_front_is_complete():
    class Listed:
        """Asks for all genomes, each twice, the last of the front in the middle."""

        batch = np.repeat(everything(6), 2, axis=0)

    def ask(key, state):
        return Listed.batch

    strategy = search.Strategy("listed", traps(2, 3), 128, lambda key: None, ask, lambda *_: None, host=True)
    assert evaluations(strategy, 2, 3, 0, 1000) == 64, "111111 comes last"
    Listed.batch = Listed.batch[::-1]
    assert evaluations(strategy, 2, 3, 0, 1000) == 64, "000000 comes last"
    Listed.batch = Listed.batch[:-2]
    assert evaluations(strategy, 2, 3, 0, 1000) is None


def test_ratios_are_of_the_best_population_of_each():
    found = figures({"nsga2": {16: [90, 110], 32: [300, 300]}, "tree": {16: [50, 70], 32: [20, 30]}, "kernels": {}})
    assert found["population"] == {"nsga2": 16, "tree": 32}
    assert found["ratios"] == {"nsga2_over_tree": 4.0}
    assert found["worst_ratios"] == {"nsga2_over_tree": 3.0}


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_can_be_tried(name):
    for counts in tried(name, SMALL).values():
        assert len(counts) == 2
        assert max(counts) <= 64
