"""The switch graph of merged networks, node by node in an order in which they can run."""

import graphlib
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jaxevo.graph import (
    Merge,
    NetworkGraph,
    Node,
    Piece,
    SwitchGraph,
    divide,
    entry,
    merge_kernels,
    merged_layer,
    multiply_adds,
    saving,
)
from jaxevo.graph.program import trace_program
from jaxevo.network import batched
from jaxevo.space import INPUTS, Segment
from jaxevo.stitching import arrangement
from jaxevo.stitching.inputs import adapter
from jaxevo.stitching.joints import Pair
from jaxevo.stitching.outputs import vote
from jaxevo.stitching.stitches import Stitch, apply_stitch
from jaxevo.stitching.views import ends_of

PyTree = Any

#: Kinds of node, in the order in which those that could run at once are put.
_PIECE, _STITCH, _SWITCH = range(3)


class Builder:
    """Builds the switch graph of networks that are joined at pairs.

    graphs, pairs, stitches, params: as in `Merged`.
    """

    def __init__(
        self, graphs: Sequence[NetworkGraph], pairs: Sequence[Pair], stitches: Sequence[Stitch], params: PyTree
    ):
        self.graphs, self.stitches = graphs, stitches
        self.nodes: list[Node] = []
        self.merges: dict[tuple[int, int], Merge] = {}
        self.joined: dict[tuple[int, int], list[int]] = {}
        self.ends = [ends_of(pairs, stitch) for stitch in stitches]
        for index, (_, target) in enumerate(self.ends):
            self.joined.setdefault(target, []).append(index)
        joined = [tuple(value for p, value in self.joined if p == parent) for parent in range(len(graphs))]
        divisions = [divide(graph, values) for graph, values in zip(graphs, joined, strict=True)]
        self.pieces: dict[tuple[int, int], tuple[int, Piece]] = {
            (p, part.writes[0]): (i, part) for p, parts in enumerate(divisions) for i, part in enumerate(parts)
        }
        self._number_leaves(params)
        # Where a node can be found once it is there, by (kind, what it is of).
        self.places: dict[tuple[int, Any], int] = {}

    def build(self, votes: tuple[tuple[float, ...], ...]) -> SwitchGraph:
        """Returns the graph; its outputs are those of each parent, then the votes with the given weights of parents.

        Raises:
          ValueError: where the pairs let data flow in a circle.
        """
        order = graphlib.TopologicalSorter(self._needs())
        try:
            order.prepare()
        except graphlib.CycleError as error:
            raise ValueError(
                "stitch: the pairs of the matching let data flow in a circle; take pairs from jaxevo.stitching.match"
            ) from error
        while order.is_active():
            ready = sorted(order.get_ready())
            for kind, what in ready:
                self.places[kind, what] = (self._piece, self._stitch, self._switch)[kind](what)
            order.done(*ready)
        self._outputs(votes)
        return SwitchGraph(tuple(self.nodes), self.sizes, self.merges)

    def _number_leaves(self, params: PyTree) -> None:
        """Leaves are numbered as `jax.tree.leaves` gives them: each parent's, then the stitches'."""
        counts = [len(jax.tree.leaves(own)) for own in params["parents"]]
        self.offsets = [0, *itertools.accumulate(counts)]
        self.stitch_leaves, start = {}, self.offsets[-1]
        for name in sorted(params["stitches"]):
            count = len(jax.tree.leaves(params["stitches"][name]))
            self.stitch_leaves[name] = tuple(range(start, start + count))
            start += count
        self.stitch_params = params["stitches"]
        self.sizes = tuple(int(np.size(leaf)) for leaf in jax.tree.leaves(params))

    def _needs(self) -> dict[tuple[int, Any], list[tuple[int, Any]]]:
        """Returns what each node reads, by (kind, what it is of)."""
        needs: dict[tuple[int, Any], list[tuple[int, Any]]] = {}
        for (parent, value), (_, part) in self.pieces.items():
            inputs = self.graphs[parent].program.inputs
            needs[_PIECE, (parent, value)] = [self._way((parent, v)) for v in part.reads if v not in inputs]
        for index, (source, _) in enumerate(self.ends):
            needs[_STITCH, index] = [(_PIECE, source)]
        for target, stitches in self.joined.items():
            needs[_SWITCH, target] = [(_PIECE, target), *((_STITCH, index) for index in stitches)]
        return needs

    def _way(self, end: tuple[int, int]) -> tuple[int, Any]:
        """Returns the node that what follows a feature reads: its switch where it is joined, else its piece."""
        return (_SWITCH if end in self.joined else _PIECE), end

    def _add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _piece(self, end: tuple[int, int]) -> int:
        parent, _ = end
        index, part = self.pieces[end]
        graph = self.graphs[parent]
        inputs = [v for v in part.reads if v in graph.program.inputs]
        others = [v for v in part.reads if v not in inputs]
        reads = tuple(self.places[self._way((parent, v))] for v in others)
        adapt = adapter(self.graphs[0].network, graph.network) if inputs else None
        layers = {}
        for value in others:
            if (parent, value) in self.joined and (found := entry(part, value)) is not None:
                layers[graph.paths[found.leaf]] = found.equation.writes[0], merged_layer(found, graph.features[value])

        def apply(leaves, variant, *features):
            del variant
            values = dict(zip(others, features[len(features) - len(others) :], strict=True))
            if adapt is not None:
                given = dict(zip(graph.program.inputs, jax.tree.leaves(adapt(features[0])), strict=True))
                values |= {v: given[v] for v in inputs}
            overrides = {
                write: _with(layer, {name: leaves[f"{path}/{name}"] for name in ("kernel", "border")})
                for path, (write, layer) in layers.items()
                if path not in leaves
            }
            return part.apply(leaves, *(values[v] for v in part.reads), overrides=overrides)[0]

        segment = Segment(f"{graph.name}[{index}]", apply, lambda params: part.select(params["parents"][parent]))
        leaves = tuple(self.offsets[parent] + number for number in part.parameters)
        cost = part.multiply_adds + (0 if adapt is None else _cost(lambda _, x: adapt(x), {}, self._inputs()))
        node = self._add(Node(segment.name, graph.name, (INPUTS, *reads) if inputs else reads, segment, leaves, cost))
        for value in others:
            for option, stitch in enumerate(self.joined.get((parent, value), ()), 1):
                self._merge(part, value, node, option, stitch)
        return node

    def _inputs(self) -> PyTree:
        return batched(self.graphs[0].network.inputs, 1)

    def _stitch(self, index: int) -> int:
        stitch = self.stitches[index]

        def apply(leaves, variant, feature):
            del variant
            return apply_stitch(stitch, leaves, feature)

        segment = Segment(stitch.name, apply, lambda params: params["stitches"][stitch.name])
        source = jax.ShapeDtypeStruct((1, *stitch.reads.shape), np.float32)
        cost = _cost(lambda leaves, x: apply_stitch(stitch, leaves, x), self.stitch_params[stitch.name], source)
        reads = (self.places[_PIECE, self.ends[index][0]],)
        return self._add(Node(stitch.name, "stitch", reads, segment, self.stitch_leaves[stitch.name], cost))

    def _switch(self, target: tuple[int, int]) -> int:
        options = self.places[_PIECE, target], *(self.places[_STITCH, index] for index in self.joined[target])
        return self._add(Node(f"switch:{self.nodes[options[0]].name}", "switch", options))

    def _outputs(self, votes: tuple[tuple[float, ...], ...]) -> None:
        ends = [self.places[self._way((p, g.program.outputs[0]))] for p, g in enumerate(self.graphs)]
        options, kind = list(ends), self.graphs[0].network.output
        for weights in votes:
            cast = [(end, weight) for end, weight in zip(ends, weights, strict=True) if weight]
            name = "vote " + " ".join(f"{weight:.3g}" for weight in weights)
            segment = Segment(name, vote(kind, [weight for _, weight in cast]), lambda _: {})
            options.append(self._add(Node(name, "output", tuple(end for end, _ in cast), segment)))
        self._add(Node("output", "switch", tuple(options)))

    def _merge(self, part: Piece, value: int, after: int, option: int, index: int) -> None:
        """Notes that the stitch which the switch of a value passes on can be multiplied into the layer after it."""
        stitch = self.stitches[index]
        saved, found = saving(part, value, stitch.reads.channels), entry(part, value)
        if saved is None or found is None or arrangement.class_tokens(stitch.reads, stitch.makes):
            return
        path = part.graph.paths[found.leaf]

        def fold(stitch_leaves, leaves):
            kept = {name: leaf for name, leaf in leaves.items() if name != path}
            merged = merge_kernels(found, stitch_leaves["kernel"], stitch_leaves["bias"], leaves[path])
            return {**kept, **{f"{path}/{name}": leaf for name, leaf in merged.items()}}

        def rest(feature):
            return arrangement.arrange(stitch.reads, stitch.makes, feature)

        switch = self.places[self._way(self.ends[index][1])]
        self.merges[switch, option] = Merge(saved, self.places[_STITCH, index], after, fold, rest)


def _with(layer: Callable, leaves: PyTree) -> Callable[..., list]:
    return lambda x, *_: [layer(leaves, x)]


def _cost(function: Callable, params: PyTree, example: PyTree) -> int:
    """Counts the multiply-adds of a function of one example."""
    return multiply_adds(trace_program(function, params, example))
