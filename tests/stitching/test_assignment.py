"""Both solvers find what brute force finds, on chains, residual and truly branching graphs, and never a cycle."""

import graphlib
import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxevo import stitching
from jaxevo.graph import flows, trace
from jaxevo.stitching.assignment import mixed_integer, noncrossing
from tests.networks import build


def is_acyclic(sizes, edges, pairs):
    """Whether data cannot flow in a circle once the ends of every pair are one place."""
    place = {(p, i): {(p, i)} for p, size in enumerate(sizes) for i in range(size)}
    for p, i, q, j in pairs:
        joined = place[p, i] | place[q, j]
        place.update(dict.fromkeys(joined, joined))
    name = {end: min(members) for end, members in place.items()}
    needs = {}
    for p, graph in enumerate(edges):
        for early, late in graph:
            needs.setdefault(name[p, late], set()).add(name[p, early])
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError:
        return False
    return True


def one_to_one(gain, most=None):
    """Every set of pairs of two networks in which no point occurs twice."""
    m, n = gain.shape
    for k in range(min(m, n, most or m) + 1):
        for rows in itertools.combinations(range(m), k):
            for columns in itertools.permutations(range(n), k):
                if np.all(gain[list(rows), list(columns)] > 0):
                    yield [(0, i, 1, j) for i, j in zip(rows, columns, strict=True)]


def brute(sizes, edges, gain, most=None):
    """The largest total gain of an allowed set of pairs."""
    totals = sorted(
        ((sum(gain[i, j] for _, i, _, j in pairs), pairs) for pairs in one_to_one(gain, most)),
        key=lambda found: -found[0],
    )
    return next(total for total, pairs in totals if is_acyclic(sizes, edges, pairs))


def chain(rng, size):
    del rng
    return [(i, i + 1) for i in range(size - 1)]


def residual(rng, size):
    skips = [(i, j) for i in range(size) for j in range(i + 2, size) if rng.random() < 0.4]
    return chain(rng, size) + skips


def branching(rng, size):
    return [(i, j) for i in range(size) for j in range(i + 1, size) if rng.random() < 0.35]


@pytest.mark.parametrize("kind", [chain, residual, branching])
@settings(max_examples=80, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    most=st.one_of(st.none(), st.integers(1, 3)),
    seed=st.integers(0, 2**16),
)
def test_the_mixed_integer_program_is_as_good_as_the_best_of_all(kind, sizes, most, seed):
    rng = np.random.default_rng(seed)
    edges = [kind(rng, size) for size in sizes]
    gain = rng.uniform(-0.2, 1.0, sizes)
    gain[rng.random(sizes) < 0.2] = -np.inf
    chosen = mixed_integer(sizes, edges, {(0, 1): gain}, most)
    total = sum(gain[i, j] for _, i, _, j in chosen.pairs)
    assert is_acyclic(sizes, edges, chosen.pairs)
    assert np.isclose(total, brute(sizes, edges, gain, most))
    assert np.isclose(total, chosen.bound)
    if kind is not branching:
        assert np.isclose(total, sum(gain[i, j] for i, j in noncrossing(gain, most)))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_three_networks_are_matched_at_once_without_a_cycle(seed):
    rng = np.random.default_rng(seed)
    sizes = (4, 3, 4)
    edges = [branching(rng, size) for size in sizes]
    sides = list(itertools.combinations(range(3), 2))
    gains = {(p, q): rng.uniform(0.1, 1.0, (sizes[p], sizes[q])) for p, q in sides}
    chosen = mixed_integer(sizes, edges, gains)
    assert is_acyclic(sizes, edges, chosen.pairs)
    for p, q in sides:
        ends = [(i, j) for a, i, b, j in chosen.pairs if (a, b) == (p, q)]
        assert len({i for i, _ in ends}) == len({j for _, j in ends}) == len(ends)
    total = sum(gains[p, q][i, j] for p, i, q, j in chosen.pairs)
    assert total >= max(brute([sizes[p], sizes[q]], [edges[p], edges[q]], gains[p, q]) for p, q in sides) - 1e-9


BLOCKS = st.lists(st.sampled_from(("plain", "residual", "branch")), min_size=1, max_size=1).map(tuple)


@settings(max_examples=20, deadline=None)
@given(a=BLOCKS, b=BLOCKS, seed=st.integers(0, 2**16))
def test_any_layers_of_traced_networks_are_matched_as_well_as_the_best_of_all(a, b, seed):
    graphs = [trace(build(i, 4, blocks, name=name)) for i, (name, blocks) in enumerate(zip("ab", (a, b), strict=True))]
    places = [stitching.points(graph, layers=True) for graph in graphs]
    rng = np.random.default_rng(seed)
    similarity = rng.random([len(place) for place in places])
    table = stitching.weights(*graphs, similarity, layers=True)
    gain = np.nan_to_num(table - 0.4, nan=-1.0)
    edges = [flows(graph, tuple(point.value for point in place)) for graph, place in zip(graphs, places, strict=True)]
    matching = stitching.match(*graphs, similarity={(0, 1): similarity}, price=0.4, layers=True)
    assert np.isclose(matching.weight, brute([len(place) for place in places], edges, gain))
    assert matching.gap < 1e-6
    stitching.stitch(jax.random.key(0), matching)


def test_what_was_found_is_returned_with_its_gap_where_time_runs_out():
    rng = np.random.default_rng(0)
    size = 40
    edges = [[(i, j) for i in range(size) for j in range(i + 1, size) if rng.random() < 0.05] for _ in range(2)]
    gain = rng.uniform(0.1, 1.0, (size, size))
    chosen = mixed_integer((size, size), edges, {(0, 1): gain}, time_limit=0.05)
    assert is_acyclic((size, size), edges, chosen.pairs)
    total = sum(gain[i, j] for _, i, _, j in chosen.pairs)
    assert 0 < sum(gain[i, j] for i, j in noncrossing(gain)) <= total < chosen.bound
