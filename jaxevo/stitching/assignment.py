"""Choosing pairs so that nothing flows in a circle: the two exact solvers behind `match`.

Joining two features makes one place of them: from either, data can flow to what follows both. A set of pairs is allowed
exactly if the graph in which every joined set of features is one node has no cycle. Where each network's points are
totally ordered, that means that no two pairs cross, and dynamic programming is exact. In general every point has a
height, heights grow along each network, joined points have one height, and a mixed integer program is exact.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, sparse

#: Gains [M, N] of joining points of two networks, by their indices; minus infinity where they cannot be joined.
Gains = Mapping[tuple[int, int], np.ndarray]


class Chosen(NamedTuple):
    """Pairs that were chosen.

    pairs: (first network, its point, second network, its point).
    bound: no allowed set of pairs has a larger sum of gains.
    """

    pairs: list[tuple[int, int, int, int]]
    bound: float


def noncrossing(gain: np.ndarray, most: int | None = None) -> list[tuple[int, int]]:
    """Finds the non-crossing one-to-one pairs with the greatest sum of gains, at most `most` of them.

    Args:
      gain: [M, N], minus infinity where two points cannot be joined.
      most: at most so many pairs, by default any number.

    Returns:
      Rows and columns, both rising.
    """
    m, n = gain.shape
    if most is None or most >= min(m, n):
        layers, before = 1, 0  # No need to count: every layer reads itself.
    else:
        layers, before = most, 1
    # best[k, i, j]: greatest gain of at most k pairs among the first i and j points.
    best = np.zeros((layers + 1, m + 1, n + 1))
    for k in range(1, layers + 1):
        for i in range(1, m + 1):
            joined = best[k - before, i - 1, :-1] + gain[i - 1]
            best[k, i, 1:] = np.maximum.accumulate(np.maximum(best[k, i - 1, 1:], joined))
    chosen, k, i, j = [], layers, m, n
    while k and i and j:
        if best[k, i, j] == best[k, i - 1, j]:
            i -= 1
        elif best[k, i, j] == best[k, i, j - 1]:
            j -= 1
        else:
            chosen.append((i - 1, j - 1))
            k, i, j = k - before, i - 1, j - 1
    return chosen[::-1]


def mixed_integer(
    sizes: Sequence[int],
    edges: Sequence[Sequence[tuple[int, int]]],
    gains: Gains,
    most: int | None = None,
    time_limit: float = 60.0,
) -> Chosen:
    """Finds the allowed pairs with the greatest sum of gains between the points of any directed acyclic graphs.

    Solved by HiGHS. Where time runs out, the better of the best found so far and of a dynamic program over one order of
    each graph's points is returned, with the bound that was proved.

    Args:
      sizes: number of points of each network, which are numbered in an order in which they can run.
      edges: which points of each network lead to which, (earlier, later).
      gains: of the pairs between networks.
      most: at most so many pairs between two networks, by default any number.
      time_limit: seconds.

    Returns:
      The pairs.
    """
    pairs = [
        (p, int(i), q, int(j))
        for (p, q), gain in sorted(gains.items())
        for i, j in zip(*np.where(gain > 0), strict=True)
    ]
    gain = np.array([gains[p, q][i, j] for p, i, q, j in pairs])
    simple = _in_order(gains, most)
    if not pairs:
        return Chosen([], 0.0)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    rows = _Rows(len(pairs) + int(offsets[-1]))
    heights = len(pairs) + offsets
    _at_most_once(rows, pairs, most)
    top = float(offsets[-1])
    for p, graph in enumerate(edges):
        for early, late in graph:
            rows.add({int(heights[p]) + late: 1.0, int(heights[p]) + early: -1.0}, 1.0, np.inf)
    for index, (p, i, q, j) in enumerate(pairs):
        first, second = int(heights[p]) + i, int(heights[q]) + j
        rows.add({first: 1.0, second: -1.0, index: top}, -np.inf, top)
        rows.add({second: 1.0, first: -1.0, index: top}, -np.inf, top)
    upper = np.concatenate([np.ones(len(pairs)), np.full(int(offsets[-1]), top)])
    integral = np.concatenate([np.ones(len(pairs)), np.zeros(int(offsets[-1]))])
    found = optimize.milp(
        np.concatenate([-gain, np.zeros(int(offsets[-1]))]),
        integrality=integral,
        bounds=optimize.Bounds(np.zeros(len(upper)), upper),  # type: ignore[arg-type]: arrays are taken as well
        constraints=rows.constraint(),
        options={"time_limit": time_limit, "mip_rel_gap": 0.0},
    )
    chosen = [] if found.x is None else [pair for pair, x in zip(pairs, found.x, strict=False) if x > 0.5]
    bound = gain.sum() if found.mip_dual_bound is None else min(gain.sum(), -found.mip_dual_bound)
    best = max((chosen, simple), key=lambda some: sum(gains[p, q][i, j] for p, i, q, j in some))
    return Chosen(best, float(bound))


def _in_order(gains: Gains, most) -> list[tuple[int, int, int, int]]:
    """Allowed pairs from dynamic programming: those of the two networks that gain most."""
    found = [[(p, i, q, j) for i, j in noncrossing(gain, most)] for (p, q), gain in sorted(gains.items())]
    return max(found, key=lambda some: sum(gains[p, q][i, j] for p, i, q, j in some))


def _at_most_once(rows: "_Rows", pairs, most) -> None:
    """Each point is joined to at most one point of each other network."""
    ends: dict[tuple, dict[int, float]] = {}
    for index, (p, i, q, j) in enumerate(pairs):
        for end in ((p, i, q), (q, j, p)):
            ends.setdefault(end, {})[index] = 1.0
        if most is not None:
            ends.setdefault((p, q), {})[index] = 1.0
    for end, members in ends.items():
        rows.add(members, -np.inf, 1.0 if len(end) == 3 or most is None else most)


class _Rows:
    """Rows of a sparse linear constraint, gathered one by one."""

    def __init__(self, variables: int):
        self.variables = variables
        self.entries: list[tuple[int, int, float]] = []
        self.bounds: list[tuple[float, float]] = []

    def add(self, row: dict[int, float], lower: float, upper: float) -> None:
        self.entries += [(len(self.bounds), variable, value) for variable, value in row.items()]
        self.bounds.append((lower, upper))

    def constraint(self) -> optimize.LinearConstraint:
        row, column, value = zip(*self.entries, strict=True)
        matrix = sparse.coo_array((value, (row, column)), shape=(len(self.bounds), self.variables)).tocsr()
        lower, upper = np.array(self.bounds).T
        return optimize.LinearConstraint(matrix, lower, upper)  # type: ignore[arg-type]: arrays are taken as well
