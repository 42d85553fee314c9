"""Two networks merged into one `SwitchGraph`: their pieces, stitches both ways at each pair, and switches.

At pair i each network's way on reads a switch: option 0 is its own feature, option 1 the other network's feature
through a stitch. The outputs are a switch too: the first network's, the second's, and ensembles of both.
"""

import dataclasses
import itertools
import numbers
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.graph import (
    Feature,
    Merge,
    NetworkGraph,
    Node,
    Piece,
    SwitchGraph,
    entry,
    merge_kernels,
    merged_layer,
    piece,
    saving,
)
from jaxevo.graph.tracing import check_graph
from jaxevo.network import check_key
from jaxevo.space import INPUTS, Segment
from jaxevo.stitching.inputs import adapter
from jaxevo.stitching.matching import Matching, Pair
from jaxevo.stitching.outputs import check_outputs, vote

PyTree = Any


class Stitch(NamedTuple):
    """A linear map over channels from a feature of one network to one of the other.

    name: key of its parameters {"kernel": [S, T], "bias": [T]}.
    pair: index of its pair.
    source, target: index of the network that it reads, and of the one that it feeds.
    """

    name: str
    pair: int
    source: int
    target: int


@dataclasses.dataclass(frozen=True)
class Merged:
    """Two networks merged, with the parameters of both and of the stitches.

    graph: pieces, stitches and switches.
    params: `{"parents": (params, params), "stitches": {name: {"kernel", "bias"}}}`.
    parents: the two networks' graphs.
    pairs: where they are joined.
    stitches: two for each pair, in the order of the pairs.
    """

    graph: SwitchGraph
    params: PyTree
    parents: tuple[NetworkGraph, NetworkGraph]
    pairs: tuple[Pair, ...]
    stitches: tuple[Stitch, ...]

    @property
    def name(self) -> str:
        """The parents' names."""
        return " x ".join(parent.name for parent in self.parents)


def stitch(
    key: jax.Array, a: NetworkGraph, b: NetworkGraph, matching: Matching, *, votes: Sequence[float] = (0.5,)
) -> Merged:
    """Merges two networks, with a stitch each way and two switches at each pair.

    Args:
      key: draws the stitches' kernels; `stitching.fit` replaces them.
      a, b: the two networks.
      matching: pairs of their features, from `stitching.match`.
      votes: weights in (0, 1) of the first network in each soft-vote ensemble offered as an output.

    Returns:
      The merged network. Its inputs are those of the first parent.

    Raises:
      TypeError: where key, a, b or matching is none.
      ValueError: where the matching is of other networks, the parents have one name or differ in inputs, kind of output
        or classes, or votes leave (0, 1) or repeat.
    """
    key = check_key("stitch", key)
    _check(a, b, matching, votes)
    check_outputs(a.network, b.network)
    stitches = tuple(
        Stitch(f"{i:02d}:{(a, b)[s].name}->{(a, b)[1 - s].name}", i, s, 1 - s)
        for i in range(len(matching.pairs))
        for s in (0, 1)
    )
    params = {
        "parents": (a.network.params, b.network.params),
        "stitches": {s.name: _draw(jax.random.fold_in(key, i), s, matching.pairs) for i, s in enumerate(stitches)},
    }
    builder = _Builder((a, b), matching.pairs, stitches, params, tuple(votes))
    return Merged(builder.build(), params, (a, b), matching.pairs, stitches)


def features_of(pair: Pair, stitch: Stitch) -> tuple[Feature, Feature]:
    """Returns the feature that a stitch reads and the one that it replaces."""
    ends = (pair.a.feature, pair.b.feature)
    return ends[stitch.source], ends[stitch.target]


def apply_stitch(leaves: PyTree, source: Feature, target: Feature, x: jax.Array) -> jax.Array:
    """Maps a feature through a stitch: a product over channels, a bias, and the target's order of axes.

    Args:
      leaves: {"kernel": [S, T], "bias": [T]}.
      source: the feature that it reads.
      target: the feature that it replaces.
      x: the source, a batch of it.

    Returns:
      The replaced feature.

    Raises:
      ValueError: where x is not a batch of the source.
    """
    assert source.channel is not None
    assert target.channel is not None
    if x.shape[1:] != source.shape:
        raise ValueError(f"apply_stitch: x has shape {list(x.shape)}, expected [B, ...] of {source}")
    product = jax.lax.dot_general(x, leaves["kernel"], (((source.channel,), (0,)), ((), ())))
    return jnp.moveaxis(product + leaves["bias"], -1, target.channel)


def _draw(key, stitch, pairs):
    source, target = features_of(pairs[stitch.pair], stitch)
    kernel = jax.random.normal(key, (source.channels, target.channels)) / np.sqrt(source.channels)
    return {"kernel": kernel, "bias": jnp.zeros(target.channels)}


class _Builder:
    """Appends nodes in the order in which they can run."""

    def __init__(self, parents, pairs, stitches, params, votes):
        self.parents, self.pairs, self.stitches, self.votes = parents, pairs, stitches, votes
        self.nodes: list[Node] = []
        self.merges: dict[tuple[int, int], Merge] = {}
        # Leaves are numbered as jax.tree.leaves gives them: both parents', then the stitches' in order of name.
        first, second = (len(jax.tree.leaves(p)) for p in params["parents"])
        self.offsets = (0, first)
        order = sorted(params["stitches"])
        self.stitch_leaves = {n: (first + second + 2 * i, first + second + 2 * i + 1) for i, n in enumerate(order)}
        self.sizes = tuple(int(np.size(leaf)) for leaf in jax.tree.leaves(params))

    def build(self) -> SwitchGraph:
        pieces = [self._pieces(side) for side in (0, 1)]
        ways = [INPUTS, INPUTS]
        pending: list[tuple[int, int] | None] = [None, None]
        for i in range(len(self.pairs)):
            own = [self._piece(side, pieces[side][i], i, ways[side], pending[side]) for side in (0, 1)]
            across = {s.target: (s, self._stitch(s, own[s.source])) for s in self.stitches if s.pair == i}
            for side in (0, 1):
                found, node = across[side]
                switch = Node(f"{i:02d}:switch:{self.parents[side].name}", "switch", (own[side], node))
                ways[side] = self._add(switch)
                pending[side] = (found, node)
        ends = [self._piece(side, pieces[side][-1], len(self.pairs), ways[side], pending[side]) for side in (0, 1)]
        kind = self.parents[0].network.output
        for weight in self.votes:
            segment = Segment(f"vote {weight:g}", vote(kind, weight), lambda _: {})
            self._add(Node(segment.name, "output", tuple(ends), segment))
        options = (*ends, *range(len(self.nodes) - len(self.votes), len(self.nodes)))
        self._add(Node("output", "switch", options))
        return SwitchGraph(tuple(self.nodes), self.sizes, self.merges)

    def _add(self, node):
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _pieces(self, side) -> list[Piece]:
        graph = self.parents[side]
        values = [(pair.a, pair.b)[side].value for pair in self.pairs]
        bounds = [graph.program.inputs, *((v,) for v in values), graph.program.outputs]
        return [piece(graph, reads, writes) for reads, writes in itertools.pairwise(bounds)]

    def _piece(self, side, part, index, read, pending):
        graph = self.parents[side]
        adapt = adapter(self.parents[0].network, graph.network) if index == 0 else None

        def select(params):
            return part.select(params["parents"][side])

        def apply(leaves, variant, feature):
            del variant
            values = jax.tree.leaves(adapt(feature)) if adapt else [feature]
            return part.apply(leaves, *values)[0]

        segment = Segment(f"{graph.name}[{index}]", apply, select)
        leaves = tuple(self.offsets[side] + number for number in part.parameters)
        node = self._add(Node(segment.name, graph.name, (read,), segment, leaves, part.multiply_adds))
        if pending is not None:
            self._merge(part, read, node, *pending)
        return node

    def _stitch(self, stitch, read):
        source, target = features_of(self.pairs[stitch.pair], stitch)

        def apply(leaves, variant, feature):
            del variant
            return apply_stitch(leaves, source, target, feature)

        segment = Segment(stitch.name, apply, lambda params: params["stitches"][stitch.name])
        cost = int(np.prod(source.space, dtype=np.int64)) * source.channels * target.channels
        return self._add(Node(stitch.name, "stitch", (read,), segment, self.stitch_leaves[stitch.name], cost))

    def _merge(self, part, switch, after, stitch, before):
        """Notes that the stitch which `switch` passes on as option 1 can be multiplied into the piece after it."""
        source, target = features_of(self.pairs[stitch.pair], stitch)
        saved, found = saving(part, source.channels), entry(part)
        if saved is None or found is None:
            return
        path, layer = part.graph.paths[found.leaf], merged_layer(found, target, source)

        def fold(stitch_leaves, leaves):
            kept = {name: leaf for name, leaf in leaves.items() if name != path}
            merged = merge_kernels(found, stitch_leaves["kernel"], stitch_leaves["bias"], leaves[path])
            return {**kept, **{f"{path}/{name}": leaf for name, leaf in merged.items()}}

        def apply(leaves, variant, feature):
            del variant
            merged = {name: leaves[f"{path}/{name}"] for name in ("kernel", "border")}
            overrides = {found.equation.writes[0]: lambda x, *_: [layer(merged, x)]}
            return part.apply(leaves, feature, overrides=overrides)[0]

        self.merges[(switch, 1)] = Merge(saved, before, after, fold, apply)


def check_merged(where: str, merged: Any) -> None:
    """Raises TypeError, starting with `where`, unless the argument is a `Merged`."""
    if not isinstance(merged, Merged):
        raise TypeError(
            f"{where}: merged is a {type(merged).__name__}, expected a Merged; make it with jaxevo.stitching.stitch "
            "(jaxevo.stitching.fit returns it with the fits)"
        )


def _check(a, b, matching, votes):
    check_graph("stitch", "a", a)
    check_graph("stitch", "b", b)
    if not isinstance(matching, Matching):
        raise TypeError(
            f"stitch: matching is a {type(matching).__name__}, expected a Matching; "
            "make it with jaxevo.stitching.match(a, b)"
        )
    if a.name == b.name:
        raise ValueError(f"stitch: both networks are named {a.name!r}; give them different names")
    for graph, fingerprint in zip((a, b), matching.fingerprints, strict=True):
        if graph.fingerprint != fingerprint:
            raise ValueError(
                f"stitch: matching was made for a network with fingerprint {fingerprint}, but {graph.name!r} has "
                f"{graph.fingerprint}; match the two networks again with jaxevo.stitching.match"
            )
    weights = votes if isinstance(votes, tuple | list) else None
    if weights is None or not all(isinstance(w, numbers.Real) and 0 < float(w) < 1 for w in weights):
        raise ValueError(f"stitch: votes is {votes!r}, expected weights in (0, 1) of the first network such as (0.5,)")
    if len(set(weights)) < len(weights):
        raise ValueError(f"stitch: votes is {votes!r}, expected different weights; drop the repeated ones")
