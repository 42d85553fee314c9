"""Which features of two networks can be joined, and what joining them is worth.

`M` and `N` are the numbers of points of the two networks: their cuts, or with `layers` the ends of all their layers.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxevo.checks import check_flag
from jaxevo.graph import Cut, Feature, NetworkGraph
from jaxevo.graph.tracing import check_graph


class Pair(NamedTuple):
    """Two features to be joined.

    parents: indices of the two networks.
    a, b: the points of the two networks.
    weight: what the pair is worth, price not taken off.
    """

    parents: tuple[int, int]
    a: Cut
    b: Cut
    weight: float


#: Feature similarities in [0, 1], [M, N], by the indices of two networks, the smaller first.
Similarity = Mapping[tuple[int, int], np.ndarray]


def points(graph: NetworkGraph, layers: bool = False) -> tuple[Cut, ...]:
    """Lists where a network can be joined to another.

    Args:
      graph: the network.
      layers: the ends of all layers, those on branches too; by default only features through which everything flows.

    Returns:
      Its points, from the inputs to the outputs, which are left out, as is what only prepares the inputs.

    Raises:
      TypeError: where it is no `NetworkGraph`.
    """
    check_graph("points", "graph", graph)
    check_flag("points", "layers", layers)
    program = graph.program
    # What no parameter has touched is the input still, as a cast leaves it; whole numbers have no channels.
    return tuple(
        point
        for point in (graph.points if layers else graph.cuts[:-1])
        if point.value in program.learned and jnp.issubdtype(program.avals[point.value].dtype, jnp.floating)
    )


def candidates(
    a: NetworkGraph, b: NetworkGraph, *, layers: bool = False, across: bool = False
) -> list[tuple[int, int]]:
    """Lists the points of two networks that can be joined: features of the same kind and spatial size.

    Args:
      a, b: the two networks.
      layers: as in `points`.
      across: also features of different spatial size, and sequences of tokens that came from a map with maps.

    Returns:
      Indices into the points of `a` and of `b`.

    Raises:
      TypeError: where a or b is no `NetworkGraph`.
    """
    check_graph("candidates", "a", a)
    check_graph("candidates", "b", b)
    check_flag("candidates", "layers", layers)
    check_flag("candidates", "across", across)
    return [
        (i, j)
        for i, first in enumerate(points(a, layers))
        for j, second in enumerate(points(b, layers))
        if _fit(first.feature, second.feature, across)
    ]


def weights(
    a: NetworkGraph,
    b: NetworkGraph,
    similarity: np.ndarray | None = None,
    *,
    layers: bool = False,
    across: bool = False,
) -> np.ndarray:
    """Scores pairs of points from their connectivity, as published.

    `0.5 + 0.5 s (1 - (r_a - r_b)^2)` with relative depths r and feature similarity s (arXiv 2403.14224). For features
    of different size s is halved for every octave between their sides.

    Args:
      a, b: the two networks.
      similarity: s in [0, 1] for each pair of points, [M, N]; by default 1.
      layers, across: as in `candidates`.

    Returns:
      Weights [M, N]; NaN where two points cannot be joined.

    Raises:
      TypeError, ValueError: as `match` does.
    """
    joined = candidates(a, b, layers=layers, across=across)
    first, second = points(a, layers), points(b, layers)
    check_similarity("weights", similarity, (a.name, b.name), (len(first), len(second)), joined)
    score = np.full((len(first), len(second)), np.nan)
    for i, j in joined:
        s = 1.0 if similarity is None else float(similarity[i, j])
        s *= 0.5 ** _octaves(first[i].feature, second[j].feature)
        score[i, j] = 0.5 + 0.5 * s * (1 - (first[i].depth - second[j].depth) ** 2)
    return score


def alike(first: Feature, second: Feature) -> bool:
    """Says whether two features have one kind and spatial size, so that channels are all that differs."""
    return first.kind == second.kind != "other" and first.space == second.space


def picture(feature: Feature) -> tuple[int, int] | None:
    """Returns height and width of what a map shows, or of the map that tokens came from; None for other features."""
    if feature.kind == "map":
        return feature.space[0], feature.space[1]
    return None if feature.grid is None else (feature.grid.height, feature.grid.width)


def _fit(first: Feature, second: Feature, across: bool) -> bool:
    if not first.batch == second.batch == 0:
        return False
    return alike(first, second) or (across and None not in (picture(first), picture(second)))


def _octaves(first: Feature, second: Feature) -> float:
    if alike(first, second):
        return 0.0
    sides = [math.prod(picture(feature) or ()) for feature in (first, second)]
    return abs(math.log2(sides[0] / sides[1])) / 2


def check_names(where: str, graphs: Sequence[NetworkGraph]) -> None:
    """Raises ValueError, starting with `where`, unless there are two networks or more, which names tell apart."""
    names = [graph.name for graph in graphs]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(f"{where}: networks are {names}, expected at least two with different names")


def check_similarity(where, similarity, names, shape, joined) -> None:
    """Raises ValueError, starting with `where`, unless a similarity is None or numbers in [0, 1] where it matters."""
    if similarity is None:
        return
    came = np.shape(similarity)
    if came != shape or not np.issubdtype(np.asarray(similarity).dtype, np.number):
        raise ValueError(
            f"{where}: similarity has shape {came}, expected numbers {shape}, a row for each point of {names[0]!r} "
            f"and a column for each of {names[1]!r}; take it from jaxevo.stitching.similarity with the same options"
        )
    if not all(0 <= similarity[i][j] <= 1 for i, j in joined):
        raise ValueError(f"{where}: similarity leaves [0, 1] or holds NaN at pairs that can be joined; clip it")
