"""Matching: equal to brute force, never crossing, and clear about what it refuses."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxevo import stitching
from jaxevo.graph import trace
from jaxevo.stitching.assignment import noncrossing
from tests.networks import build, networks


def brute(gain, most):
    """The best sum over all non-crossing one-to-one sets of pairs."""
    m, n = gain.shape
    best = 0.0
    for k in range(1, min(m, n, most or m) + 1):
        for rows in itertools.combinations(range(m), k):
            for columns in itertools.combinations(range(n), k):
                best = max(best, gain[list(rows), list(columns)].sum())
    return best


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.one_of(st.none(), st.integers(1, 4)), st.integers(0, 2**16))
def test_the_matching_is_as_good_as_the_best_of_all(m, n, most, seed):
    rng = np.random.default_rng(seed)
    gain = rng.uniform(-0.3, 1.0, (m, n))
    gain[rng.random((m, n)) < 0.3] = -np.inf
    chosen = noncrossing(gain, most)
    assert np.isclose(sum(gain[i, j] for i, j in chosen), brute(gain, most))
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(chosen))
    assert most is None or len(chosen) <= most


@settings(max_examples=15, deadline=None)
@given(networks("a"), networks("b"))
def test_pairs_join_features_of_one_kind_and_size_and_never_the_outputs(a, b):
    first, second = trace(a), trace(b)
    for pair in stitching.match(first, second).pairs:
        assert pair.a.feature.kind == pair.b.feature.kind
        assert pair.a.feature.space == pair.b.feature.space
        assert pair.a != first.cuts[-1]
        assert pair.b != second.cuts[-1]


def test_weights_are_the_published_formula():
    a, b = (trace(build(i, 8, ("plain", "residual"), name=n)) for i, n in enumerate("ab"))
    table = np.full((len(a.cuts) - 1, len(b.cuts) - 1), 0.3)
    found = stitching.weights(a, b, table)
    expected = 0.5 + 0.5 * 0.3 * (1 - (a.cuts[0].depth - b.cuts[1].depth) ** 2)
    assert np.isclose(found[0, 1], expected)
    assert np.isnan(found[0, -1])


def test_inputs_that_are_only_prepared_are_not_joined():
    def prepared(network):
        return dataclasses.replace(network, apply=lambda params, x: network.apply(params, x / 255 - 1))

    a, b = (trace(prepared(build(i, 8, ("plain", "plain"), name=n))) for i, n in enumerate("ab"))
    assert len(a.cuts) - 1 > len(stitching.points(a))
    assert all(pair.a.value in a.program.learned for pair in stitching.match(a, b).pairs)


def test_networks_of_one_name_are_refused_where_pairs_were_put_together_by_hand():
    a, b = (trace(build(i, 8, ("plain", "plain"), name=n)) for i, n in enumerate("ab"))
    matching = stitching.match(a, b)
    twin = trace(dataclasses.replace(b.network, name="a"))
    with pytest.raises(ValueError, match=r"stitch: networks are .* expected at least two with different names"):
        stitching.stitch(jax.random.key(0), matching._replace(graphs=(a, twin)))


def test_a_price_drops_pairs_that_are_worth_less():
    a, c = trace(build(0, 8, ("plain", "residual"), name="a")), trace(build(3, 4, ("plain",) * 5, name="c"))
    every = stitching.match(a, c)
    price = np.median([pair.weight for pair in every.pairs])
    dearer = stitching.match(a, c, price=price)
    assert 0 < len(dearer.pairs) < len(every.pairs)
    assert all(pair.weight > price for pair in dearer.pairs)
    with pytest.raises(ValueError, match=r"can be joined at price 1\.5"):
        stitching.match(a, c, price=1.5)


def test_wrong_arguments_are_named():
    a, b = (trace(build(i, 8, ("plain",), name=n)) for i, n in enumerate("ab"))
    with pytest.raises(TypeError, match=r"match: network 1 is a Network, expected a NetworkGraph"):
        stitching.match(a, b.network)
    with pytest.raises(ValueError, match=r"similarity has shape \(2, 2\), expected"):
        stitching.match(a, b, similarity={(0, 1): np.ones((2, 2))})
    with pytest.raises(ValueError, match="similarity leaves"):
        stitching.match(a, b, similarity={(0, 1): np.full((len(a.cuts) - 1, len(b.cuts) - 1), 1.5)})
    with pytest.raises(ValueError, match="most is 0"):
        stitching.match(a, b, most=0)
    with pytest.raises(ValueError, match="price is nan"):
        stitching.match(a, b, price=float("nan"))
