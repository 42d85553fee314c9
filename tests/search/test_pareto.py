import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pymoo.operators.survival.rank_and_crowding.metrics import get_crowding_function

from jaxevo.search import pareto

#: Few distinct values, so that ties and duplicates are common.
VALUES = st.sampled_from([-2.0, -0.5, -0.0, 0.0, 0.25, 1.0, 3.0])
BROKEN = st.one_of(VALUES, st.sampled_from([np.nan, np.inf, -np.inf]))


def matrices(values):
    shapes = st.tuples(st.integers(1, 14), st.integers(1, 4))
    return shapes.flatmap(lambda shape: npst.arrays(np.float64, shape, elements=values))


def dominates(a, b):
    return all(a >= b) and any(a > b)


def brute_force_ranks(fitness):
    remaining = [i for i in range(len(fitness)) if np.isfinite(fitness[i]).all()]
    ranks, rank = np.full(len(fitness), -1), 0
    while remaining:
        front = [i for i in remaining if not any(dominates(fitness[j], fitness[i]) for j in remaining)]
        ranks[front] = rank
        remaining = [i for i in remaining if i not in front]
        rank += 1
    ranks[ranks < 0] = rank
    return ranks


def volume_by_cells(points, reference):
    """Adds up the cells of the grid through all coordinates that lie below some point."""
    points = [p for p in points if np.isfinite(p).all()]
    edges = [sorted({r} | {p[d] for p in points if p[d] > r}) for d, r in enumerate(reference)]
    total = 0.0
    for cell in itertools.product(*(range(len(edge) - 1) for edge in edges)):
        upper = np.array([edges[d][i + 1] for d, i in enumerate(cell)])
        lower = np.array([edges[d][i] for d, i in enumerate(cell)])
        if any((p >= upper).all() for p in points):
            total += np.prod(upper - lower)
    return total


@pytest.mark.smoke
@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(matrices(BROKEN))
def test_ranks_equal_brute_force_with_ties_duplicates_and_nan(fitness):
    np.testing.assert_array_equal(pareto.ranks(fitness), brute_force_ranks(fitness))


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(matrices(VALUES))
def test_crowding_of_a_front_equals_pymoo(fitness):
    front = fitness[pareto.front(fitness)]
    np.testing.assert_allclose(pareto.crowding(front), get_crowding_function("cd").do(-front), rtol=1e-12)


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(matrices(VALUES))
def test_crowding_of_any_points_equals_pymoo(fitness):
    np.testing.assert_allclose(pareto.crowding(fitness), get_crowding_function("cd").do(-fitness + 0.0), rtol=1e-12)


@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(
    st.tuples(st.integers(1, 8), st.integers(1, 3)).flatmap(
        lambda shape: st.tuples(
            npst.arrays(np.float64, shape, elements=BROKEN), npst.arrays(np.float64, shape[1], elements=VALUES)
        )
    )
)
def test_hypervolume_equals_the_sum_of_grid_cells(pair):
    fitness, reference = pair
    assert pareto.hypervolume(fitness, reference) == pytest.approx(volume_by_cells(fitness, reference), abs=1e-9)


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(matrices(BROKEN))
def test_the_front_holds_every_finite_point_that_nothing_dominates(fitness):
    usable = [i for i in range(len(fitness)) if np.isfinite(fitness[i]).all()]
    expected = [i for i in usable if not any(dominates(fitness[j], fitness[i]) for j in usable)]
    assert pareto.front(fitness).tolist() == expected


def test_points_on_or_below_the_reference_add_nothing():
    assert pareto.hypervolume([[0.0, 5.0], [-1.0, 2.0]], [0.0, 0.0]) == 0.0
    assert pareto.hypervolume(np.zeros((0, 2)), [0.0, 0.0]) == 0.0


def test_nothing_at_all_ranks_as_nothing():
    assert pareto.ranks(np.zeros((0, 2))).shape == (0,)
    assert pareto.front(np.full((3, 2), np.nan)).shape == (0,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pareto.ranks(np.zeros(3)), r"ranks: fitness is \[3\].*fitness\[:, None\]"),
        (lambda: pareto.ranks(np.zeros((3, 0))), r"ranks: fitness is \[3, 0\]"),
        (lambda: pareto.front(np.zeros((3, 1), complex)), "front: fitness is .*complex128"),
        (lambda: pareto.crowding([[np.nan]]), "crowding: fitness holds NaN"),
        (lambda: pareto.hypervolume([[1.0, 2.0]], [0.0]), "hypervolume: reference is .*expected 2 finite"),
        (lambda: pareto.hypervolume([[1.0]], [np.nan]), "hypervolume: reference is .*expected 1 finite"),
    ],
)
def test_wrong_arguments_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
