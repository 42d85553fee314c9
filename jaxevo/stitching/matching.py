"""Matching: the set of pairs with the greatest total weight that leaves every network acyclic (arXiv 2403.14224).

`M` and `N` are the numbers of points of two networks.
"""

import itertools
import math
import numbers
from typing import NamedTuple

import numpy as np

from jaxevo.checks import check_weights
from jaxevo.graph import NetworkGraph, flows
from jaxevo.graph.tracing import check_graph
from jaxevo.stitching.assignment import Chosen, mixed_integer, noncrossing
from jaxevo.stitching.joints import Pair, Similarity, check_names, points, weights


class Matching(NamedTuple):
    """Pairs of features of two or more networks, in the order in which data flows.

    graphs: the networks.
    pairs: the pairs.
    weight: their total weight, prices taken off.
    bound: no set of pairs weighs more; equal to `weight` where the matching was proved to be the best.
    """

    graphs: tuple[NetworkGraph, ...]
    pairs: tuple[Pair, ...]
    weight: float
    bound: float

    @property
    def gap(self) -> float:
        """How much better the best matching could be, as a share of this one's weight; 0 where none is better."""
        return max(0.0, self.bound - self.weight) / self.weight


def match(
    *graphs: NetworkGraph,
    similarity: Similarity | None = None,
    price: float = 0.0,
    most: int | None = None,
    layers: bool = False,
    across: bool = False,
    time_limit: float = 60.0,
) -> Matching:
    """Chooses the pairs of features to join: the greatest total weight less prices.

    The published weight is at least 0.5, so that without a price it counts pairs first of all. Two networks whose
    points are totally ordered, as cuts are, take milliseconds and are matched exactly; otherwise a mixed integer
    program runs for at most `time_limit` and says how far from the best its answer may be.

    Args:
      *graphs: the networks, at least two; a feature is joined to at most one of each other network.
      similarity: feature similarity in [0, 1] by pair of networks, such as `stitching.similarity` gives; by default 1.
      price: what each pair costs, in weight; pairs worth less are left out.
      most: at most so many pairs between two networks, by default any number.
      layers: join features at the ends of all layers, on branches too; by default only those through which everything
        flows.
      across: also join features of different spatial size, and sequences of tokens that came from a map with maps.
      time_limit: seconds for the mixed integer program, above 0.

    Returns:
      The matching.

    Raises:
      TypeError: where a graph is no `NetworkGraph`.
      ValueError: where there are fewer than two networks or two have one name, similarity has another shape or leaves
        [0, 1], `most` is less than 1, a number is not finite, or no pair can be joined.
    """
    _check(graphs, similarity, price, most, time_limit)
    sides = list(itertools.combinations(range(len(graphs)), 2))
    tables = {
        (p, q): weights(graphs[p], graphs[q], (similarity or {}).get((p, q)), layers=layers, across=across)
        for p, q in sides
    }
    gains = {side: np.nan_to_num(table - price, nan=-np.inf) for side, table in tables.items()}
    chosen = _choose(graphs, gains, most, layers, time_limit)
    if not chosen.pairs:
        raise ValueError(_nothing(graphs, price, layers, across))
    places = [points(graph, layers) for graph in graphs]
    pairs = [Pair((p, q), places[p][i], places[q][j], float(tables[p, q][i, j])) for p, i, q, j in sorted(chosen.pairs)]
    pairs.sort(key=lambda pair: (pair.a.depth + pair.b.depth, pair.parents))
    weight = float(sum(gains[p, q][i, j] for p, i, q, j in chosen.pairs))
    return Matching(graphs, tuple(pairs), weight, max(weight, chosen.bound))


def _choose(graphs, gains, most, layers, time_limit) -> Chosen:
    values = [tuple(point.value for point in points(graph, layers)) for graph in graphs]
    edges = [flows(graph, v) for graph, v in zip(graphs, values, strict=True)]
    ordered = all({(i, i + 1) for i in range(len(v) - 1)} <= set(flow) for v, flow in zip(values, edges, strict=True))
    if len(graphs) == 2 and ordered:
        found = noncrossing(gains[0, 1], most)
        return Chosen([(0, i, 1, j) for i, j in found], sum(gains[0, 1][i, j] for i, j in found))
    return mixed_integer([len(v) for v in values], edges, gains, most, time_limit)


def _nothing(graphs, price, layers, across) -> str:
    def sizes(graph):
        return sorted({f"{c.feature.kind} {list(c.feature.space)}" for c in points(graph, layers)})

    found = "; ".join(f"{graph.name!r} has {', '.join(sizes(graph))}" for graph in graphs)
    advice = "" if across else "pass across=True to join different sizes, and tokens with maps, or "
    return (
        f"match: no features of {' and '.join(repr(graph.name) for graph in graphs)} can be joined at price {price}: "
        f"{found}; {advice}choose networks with a common resolution, or a lower price"
    )


def _check(graphs, similarity, price, most, time_limit):
    for index, graph in enumerate(graphs):
        check_graph("match", f"network {index}", graph)
        check_weights("match", f"network {index}, {graph.name!r},", graph.network.params)
    check_names("match", graphs)
    if isinstance(price, bool) or not isinstance(price, numbers.Real) or not math.isfinite(price):
        raise ValueError(f"match: price is {price!r}, expected a finite number; 0 takes every pair that fits")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise ValueError(f"match: most is {most!r}, expected a whole number of at least 1, or None for any number")
    if isinstance(time_limit, bool) or not isinstance(time_limit, numbers.Real) or not 0 < float(time_limit) < math.inf:
        raise ValueError(f"match: time_limit is {time_limit!r}, expected seconds above 0")
    if similarity is None:
        return
    sides = set(itertools.combinations(range(len(graphs)), 2))
    known = isinstance(similarity, dict) and similarity.keys() <= sides
    if not known or any(table is None for table in similarity.values()):
        raise ValueError(
            f"match: similarity is {similarity!r}, expected tables by pair of networks, {sorted(sides)}; "
            "take it from jaxevo.stitching.similarity"
        )
