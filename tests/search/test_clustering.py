import jax
import numpy as np
import pytest

from jaxevo.search import clustering

KEY = jax.random.key(0)


def line(count):
    """A front from (0, 1000) to (1, 0): objectives of very different extent."""
    first = np.linspace(0, 1, count)
    return np.stack([first, 1000 - 1000 * first], axis=1)


def test_clusters_overlap_are_equally_large_and_hold_neighbours():
    clusters = clustering.cluster(KEY, line(40), 5)
    assert clusters.pools.sum(axis=1).tolist() == [16] * 5
    for pool in clusters.pools:
        assert (np.diff(np.flatnonzero(pool)) == 1).all()
    assert clusters.pools[clusters.groups, np.arange(40)].all()


@pytest.mark.smoke
def test_the_clusters_at_the_ends_optimise_one_objective_each():
    clusters = clustering.cluster(KEY, line(40), 5)
    assert clusters.aims[0] == 1
    assert clusters.aims[-1] == 0
    assert set(clusters.aims[16:24]) == {-1}
    assert len(np.unique(clusters.groups[clusters.aims == 0])) == 1


def test_one_cluster_optimises_all_objectives():
    clusters = clustering.cluster(KEY, line(6), 1)
    assert clusters.pools.all()
    assert (clusters.aims == -1).all()


def test_equal_fitness_is_one_cluster():
    clusters = clustering.cluster(KEY, np.ones((6, 2)), 3)
    assert clusters.pools.shape == (1, 6)


def test_failures_are_in_no_pool_and_belong_to_a_cluster():
    fitness = line(12)
    fitness[[2, 7], [0, 1]] = np.nan, np.inf
    clusters = clustering.cluster(KEY, fitness, 3)
    assert not clusters.pools[:, [2, 7]].any()
    assert clusters.pools.any(axis=1).all()
    assert (clusters.groups < len(clusters.pools)).all()


def test_leaders_are_far_from_each_other_and_distinct():
    points = np.array([[0.0, 0], [0.1, 0], [1, 0], [1, 0], [0, 0.9]])
    assert clustering.leaders(points, 0, 3).tolist() == [0, 2, 4]
    assert clustering.leaders(points, 0, 9).tolist() == [0, 2, 4, 1]


def test_a_cluster_that_is_best_in_several_objectives_takes_the_last():
    assert clustering.extremes(np.array([[2.0, 2, 0], [1, 1, 5], [0, 0, 0]])).tolist() == [1, 2, -1]
