"""Networks taken out of a `SwitchGraph`: only what a genome uses, with consecutive linear layers merged."""

import dataclasses
from typing import Any

import jax
import numpy as np

from jaxevo.checks import check_flag
from jaxevo.graph.switches import SwitchGraph
from jaxevo.network import Network
from jaxevo.space import INPUTS

PyTree = Any


def extract(graph: SwitchGraph, params: PyTree, genome: np.ndarray, like: Network, merge: bool = True) -> Network:
    """Takes the network of a genome out of a switch graph.

    Args:
      graph: the switch graph.
      params: the shared parameters.
      genome: int [G] on the host.
      like: where inputs, kind of output, classes and convention come from.
      merge: merge linear layers that follow each other; the outputs then agree up to rounding.

    Returns:
      A network whose parameters are `{name of the node: {path: array}}` of the nodes in use and nothing else.

    Raises:
      TypeError: where graph is no `SwitchGraph`, or like no `Network`.
      ValueError: where genome or params do not fit the graph.
    """
    if not isinstance(graph, SwitchGraph):
        raise TypeError(f"extract: graph is a {type(graph).__name__}, expected a SwitchGraph such as merged.graph")
    if not isinstance(like, Network):
        raise TypeError(f"extract: like is a {type(like).__name__}, expected a jaxevo.Network such as a parent")
    check_flag("extract", "merge", merge)
    genome = graph.check("extract", genome)
    sizes = tuple(int(np.size(leaf)) for leaf in jax.tree.leaves(params))
    if sizes != graph.sizes:
        raise ValueError(
            f"extract: params hold {len(sizes)} leaves of {sum(sizes)} numbers, expected {len(graph.sizes)} of "
            f"{sum(graph.sizes)}; pass the parameters of the merged network, or a tree like them"
        )
    merges = graph.merged(genome) if merge else []
    rests = {m.before: m.rest for m in merges}
    tree, steps = {}, []
    # Known by their numbers: two parents may hold one array, and are not tied by it.
    numbered = jax.tree.unflatten(jax.tree.structure(params), range(len(sizes)))
    homes: dict[int, tuple[str, str]] = {}
    for index in graph.path(genome):
        node = graph.nodes[index]
        assert node.segment is not None
        function, leaves = node.segment.apply, _picked(node.segment, params)
        for found in merges:
            if found.after == index:
                leaves = found.fold(_picked(graph.nodes[found.before].segment, params), leaves)
        if index in rests:
            function, leaves = _without_parameters(rests[index]), {}
        # A parameter that several pieces read, such as tied weights, is kept with the first of them.
        numbers = {path: number for path, number in _picked(node.segment, numbered).items() if path in leaves}
        borrowed = {path: homes[number] for path, number in numbers.items() if number in homes}
        own = {path: leaf for path, leaf in leaves.items() if path not in borrowed}
        homes |= {number: (node.name, path) for path, number in numbers.items() if path not in borrowed}
        if own:
            tree[node.name] = own
        steps.append((index, node.name, borrowed, function, tuple(graph.source(genome, i) for i in node.reads)))

    def apply(params, inputs):
        values = {INPUTS: inputs}
        for index, name, borrowed, function, reads in steps:
            leaves = {**params.get(name, {}), **{path: params[node][own] for path, (node, own) in borrowed.items()}}
            values[index] = function(leaves, (), *(values[i] for i in reads))
        return values[steps[-1][0]]

    return dataclasses.replace(like, apply=apply, params=tree)


def _picked(segment: Any, params: PyTree) -> dict[str, Any]:
    """Returns what a segment reads of the parameters."""
    try:
        return segment.select(params)
    except (LookupError, TypeError) as error:
        raise ValueError(
            f"extract: params are not built like those of the merged network: {type(error).__name__} {error}; pass "
            "merged.params, or a tree like them"
        ) from error


def _without_parameters(function):
    return lambda leaves, variant, feature: function(feature)  # noqa: ARG005
