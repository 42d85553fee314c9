"""Which features of two networks to join: the set of pairs with the greatest weight that leaves every way acyclic.

Cut points, features through which everything flows, are totally ordered in each network. A set of pairs is then acyclic
exactly if no two pairs cross, and dynamic programming over the two orders finds the best set exactly.

`M` and `N` are the numbers of cut points of the two networks.
"""

import math
import numbers
from typing import NamedTuple

import numpy as np

from jaxevo.graph import Cut, NetworkGraph
from jaxevo.graph.tracing import check_graph


class Pair(NamedTuple):
    """Two features to be joined.

    a, b: the cuts of the two networks.
    weight: what the pair is worth, price not taken off.
    """

    a: Cut
    b: Cut
    weight: float


class Matching(NamedTuple):
    """Pairs of features of two networks, in the order in which data flows.

    pairs: the pairs.
    weight: their total weight, prices taken off.
    fingerprints: of the two networks' graphs.
    """

    pairs: tuple[Pair, ...]
    weight: float
    fingerprints: tuple[str, str]


def candidates(a: NetworkGraph, b: NetworkGraph) -> list[tuple[int, int]]:
    """Lists the cuts that can be joined: same kind of feature and same spatial size, outputs left out.

    Args:
      a, b: the two networks.

    Returns:
      Indices into `a.cuts` and `b.cuts`.

    Raises:
      TypeError: where a or b is no `NetworkGraph`.
    """
    check_graph("candidates", "a", a)
    check_graph("candidates", "b", b)
    return [
        (i, j)
        for i, first in enumerate(a.cuts[:-1])
        for j, second in enumerate(b.cuts[:-1])
        if first.feature.kind == second.feature.kind != "other"
        and first.feature.space == second.feature.space
        and first.feature.batch == second.feature.batch == 0
    ]


def weights(a: NetworkGraph, b: NetworkGraph, similarity: np.ndarray | None = None) -> np.ndarray:
    """Scores pairs of cuts from their connectivity, as published.

    `0.5 + 0.5 s (1 - (r_a - r_b)^2)` with relative depths r and feature similarity s (arXiv 2403.14224).

    Args:
      a, b: the two networks.
      similarity: s in [0, 1] for each pair of cuts, [M, N]; by default 1.

    Returns:
      Weights [M, N]; NaN where two cuts cannot be joined.

    Raises:
      TypeError, ValueError: as `match` does.
    """
    _check("weights", a, b, similarity)
    score = np.full((len(a.cuts), len(b.cuts)), np.nan)
    for i, j in candidates(a, b):
        s = 1.0 if similarity is None else float(similarity[i, j])
        score[i, j] = 0.5 + 0.5 * s * (1 - (a.cuts[i].depth - b.cuts[j].depth) ** 2)
    return score


def match(
    a: NetworkGraph,
    b: NetworkGraph,
    *,
    similarity: np.ndarray | None = None,
    price: float = 0.0,
    most: int | None = None,
) -> Matching:
    """Chooses the pairs of features to join: the greatest total weight less prices, exactly.

    The published weight is at least 0.5, so that without a price it counts pairs first of all.

    Args:
      a, b: the two networks.
      similarity: feature similarity in [0, 1] for each pair of cuts, [M, N], such as `stitching.similarity` gives; by
        default 1.
      price: what each pair costs, in weight; pairs worth less are left out.
      most: at most so many pairs, by default any number.

    Returns:
      The matching.

    Raises:
      TypeError: where a or b is no `NetworkGraph`.
      ValueError: where similarity has another shape or leaves [0, 1], `most` is less than 1, or no pair can be joined.
    """
    _check("match", a, b, similarity)
    if isinstance(price, bool) or not isinstance(price, numbers.Real) or not math.isfinite(price):
        raise ValueError(f"match: price is {price!r}, expected a finite number; 0 takes every pair that fits")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise ValueError(f"match: most is {most!r}, expected a whole number of at least 1, or None for any number")
    gain = np.nan_to_num(weights(a, b, similarity) - price, nan=-np.inf)
    chosen = _noncrossing(gain, most)
    if not chosen:
        raise ValueError(
            f"match: no features of {a.name!r} and {b.name!r} can be joined at price {price}; features must have the "
            f"same kind and spatial size, but {a.name!r} has {_sizes(a)} and {b.name!r} has {_sizes(b)}; "
            "choose networks with a common resolution, or a lower price"
        )
    pairs = tuple(Pair(a.cuts[i], b.cuts[j], float(gain[i, j] + price)) for i, j in chosen)
    return Matching(pairs, float(sum(gain[i, j] for i, j in chosen)), (a.fingerprint, b.fingerprint))


def _noncrossing(gain: np.ndarray, most: int | None) -> list[tuple[int, int]]:
    """Finds the non-crossing one-to-one pairs with the greatest sum of gains, at most `most` of them."""
    m, n = gain.shape
    layers = min(m, n) if most is None else min(most, m, n)
    # best[k, i, j]: greatest gain of at most k pairs among the first i and j cuts.
    best = np.zeros((layers + 1, m + 1, n + 1))
    for k in range(1, layers + 1):
        for i in range(1, m + 1):
            joined = best[k - 1, i - 1, :-1] + gain[i - 1]
            best[k, i, 1:] = np.maximum.accumulate(np.maximum(best[k, i - 1, 1:], joined))
    chosen, k, i, j = [], layers, m, n
    while k and i and j:
        if best[k, i, j] == best[k, i - 1, j]:
            i -= 1
        elif best[k, i, j] == best[k, i, j - 1]:
            j -= 1
        else:
            chosen.append((i - 1, j - 1))
            k, i, j = k - 1, i - 1, j - 1
    return chosen[::-1]


def _sizes(graph):
    return sorted({f"{c.feature.kind} {list(c.feature.space)}" for c in graph.cuts[:-1]})


def _check(where, a, b, similarity):
    check_graph(where, "a", a)
    check_graph(where, "b", b)
    if similarity is None:
        return
    shape, came = (len(a.cuts), len(b.cuts)), np.shape(similarity)
    if came != shape or not np.issubdtype(np.asarray(similarity).dtype, np.number):
        raise ValueError(
            f"{where}: similarity has shape {came}, expected numbers {shape}, a row for each cut of {a.name!r} and a "
            f"column for each of {b.name!r}; take it from jaxevo.stitching.similarity"
        )
    known = [similarity[i][j] for i, j in candidates(a, b)]
    if not all(0 <= s <= 1 for s in known):
        raise ValueError(f"{where}: similarity leaves [0, 1] or holds NaN at pairs that can be joined; clip it")
