"""Matching of blocks and of layers is the best that there is."""

import itertools

import numpy as np
import pytest

from jaxevo import transfer
from jaxevo.transfer.matching import in_order, worths


def best_in_order(scores):
    """The greatest total of an order-preserving one-to-one matching, by trying all."""
    rows, columns = scores.shape
    most = min(rows, columns)
    return max(
        sum(scores[i, j] for i, j in zip(a, b, strict=True))
        for count in range(most + 1)
        for a in itertools.combinations(range(rows), count)
        for b in itertools.combinations(range(columns), count)
    )


def random_blocks(rng, layers):
    """Bounds of random blocks of so many layers."""
    inner = rng.permutation(np.arange(1, layers))[: rng.integers(layers)]
    return (0, *sorted(int(n) for n in inner), layers)


@pytest.mark.parametrize("seed", range(20))
def test_layers_in_order_are_matched_as_well_as_by_brute_force(seed):
    rng = np.random.default_rng(seed)
    scores = rng.random((rng.integers(1, 6), rng.integers(1, 6)))
    pairs = in_order(scores)
    assert sum(scores[pair] for pair in pairs) == pytest.approx(best_in_order(scores))
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(pairs))


@pytest.mark.parametrize("seed", range(20))
def test_blocks_are_matched_as_well_as_by_brute_force(seed):
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 8, size=2)
    scores = rng.random(shape)
    source, target = random_blocks(rng, shape[0]), random_blocks(rng, shape[1])
    table = np.array(
        [
            [best_in_order(scores[a:b, c:d]) for c, d in itertools.pairwise(target)]
            for a, b in itertools.pairwise(source)
        ]
    )
    assert worths(scores, source, target) == pytest.approx(table)
    pairs = transfer.by_blocks(scores, source, target)
    assert sum(scores[pair] for pair in pairs) == pytest.approx(best_in_order(table))
    homes = [(np.searchsorted(source, i, "right"), np.searchsorted(target, j, "right")) for i, j in pairs]
    assert all(one == other or (one[0] < other[0] and one[1] < other[1]) for one, other in itertools.pairwise(homes))


def test_of_equally_good_blocks_those_filled_as_a_whole_are_matched():
    # The one layer before a strided one, in a network with a block of three before it, and in one without.
    long, short = (0, 1, 4, 5, 7), (0, 1, 2, 4)
    kinds = (
        np.array(["stem", "expand", "filter", "project", "expand", "stride", "project"]),
        np.array(["stem", "expand", "stride", "project"]),
    )
    scores = np.where(kinds[0][:, None] == kinds[1], 1.0, 0.0)
    wanted = ((0, 0), (4, 1), (5, 2), (6, 3))
    assert transfer.by_blocks(scores, long, short) == wanted
    assert transfer.by_blocks(scores.T, short, long) == tuple((j, i) for i, j in wanted)


@pytest.mark.parametrize("seed", range(5))
def test_no_baseline_within_its_own_rules_does_worse_than_a_stricter_one(seed):
    rng = np.random.default_rng(seed)
    scores, source, target = rng.random((7, 8)), random_blocks(rng, 7), random_blocks(rng, 8)

    def total(match):
        pairs = match(scores, source, target)
        assert len({j for _, j in pairs}) == len(pairs)
        return sum(scores[pair] for pair in pairs)

    assert total(transfer.flat) >= total(transfer.by_blocks) - 1e-12
    assert total(transfer.bipartite) >= total(transfer.by_blocks) - 1e-12
