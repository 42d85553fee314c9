"""Networks merged into one: their pieces, stitches both ways at each pair, and a switch at each joined feature.

Where a network's feature is joined to those of others, what follows it reads a switch: option 0 is its own feature, the
others are the joined features through a stitch each. The outputs are a switch too: each network's, and ensembles.

`P` is the number of parents.
"""

import dataclasses
import numbers
from collections.abc import Sequence
from typing import Any

import jax

from jaxevo.graph import NetworkGraph, SwitchGraph
from jaxevo.network import check_key
from jaxevo.stitching.building import Builder
from jaxevo.stitching.joints import Pair, check_names
from jaxevo.stitching.matching import Matching
from jaxevo.stitching.outputs import ballots, check_outputs
from jaxevo.stitching.stitches import Stitch, drawn, stitches_of

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Merged:
    """Networks merged, with the parameters of all and of the stitches.

    graph: pieces, stitches and switches.
    params: `{"parents": (params, ...), "stitches": {name: leaves of a `Stitch`}}`.
    parents: the networks' graphs.
    pairs: where they are joined.
    stitches: two for each pair, in the order of the pairs.
    votes: weights of the parents in each ensemble that the outputs offer, [P] each.
    """

    graph: SwitchGraph
    params: PyTree
    parents: tuple[NetworkGraph, ...]
    pairs: tuple[Pair, ...]
    stitches: tuple[Stitch, ...]
    votes: tuple[tuple[float, ...], ...]

    @property
    def name(self) -> str:
        """The parents' names."""
        return " x ".join(parent.name for parent in self.parents)


def stitch(key: jax.Array, matching: Matching, *, votes: Sequence[float] = (0.5,)) -> Merged:
    """Merges networks, with a stitch each way at each pair and a switch at each joined feature.

    Args:
      key: draws the stitches' kernels; `stitching.fit` replaces them.
      matching: the networks and the pairs of their features, from `stitching.match`.
      votes: weights in (0, 1) of the first of any two networks in the soft-vote ensembles offered as outputs; where
        there are more than two networks, the equal vote of all is offered as well.

    Returns:
      The merged network. Its inputs are those of the first parent.

    Raises:
      TypeError: where key or matching is none.
      ValueError: where networks differ in inputs, kind of output or classes, or votes leave (0, 1) or repeat, or pairs
        that were put together by hand let data flow in a circle.
    """
    key = check_key("stitch", key)
    _check(matching, votes)
    graphs, pairs = matching.graphs, matching.pairs
    check_outputs([graph.network for graph in graphs])
    stitches = stitches_of(graphs, pairs)
    params = {
        "parents": tuple(graph.network.params for graph in graphs),
        "stitches": {s.name: drawn(jax.random.fold_in(key, i), s) for i, s in enumerate(stitches)},
    }
    cast = ballots(len(graphs), votes)
    graph = Builder(graphs, pairs, stitches, params).build(cast)
    return Merged(graph, params, graphs, pairs, stitches, cast)


def check_merged(where: str, merged: Any) -> None:
    """Raises TypeError, starting with `where`, unless the argument is a `Merged`."""
    if not isinstance(merged, Merged):
        raise TypeError(
            f"{where}: merged is a {type(merged).__name__}, expected a Merged; make it with jaxevo.stitching.stitch "
            "(jaxevo.stitching.fit returns it with the fits)"
        )


def _check(matching, votes):
    if not isinstance(matching, Matching):
        raise TypeError(
            f"stitch: matching is a {type(matching).__name__}, expected a Matching; "
            "make it with jaxevo.stitching.match(a, b)"
        )
    check_names("stitch", matching.graphs)
    weights = votes if isinstance(votes, tuple | list) else None
    if weights is None or not all(isinstance(w, numbers.Real) and 0 < float(w) < 1 for w in weights):
        raise ValueError(f"stitch: votes is {votes!r}, expected weights in (0, 1) of the first network such as (0.5,)")
    if len(set(weights)) < len(weights):
        raise ValueError(f"stitch: votes is {votes!r}, expected different weights; drop the repeated ones")
