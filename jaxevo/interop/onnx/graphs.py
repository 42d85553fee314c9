"""Graphs of ONNX files as plain values."""

import dataclasses
import functools
from collections.abc import Container, Iterator, Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Node:
    """One node.

    domain, operator: what it computes; domain "ai.onnx" is "".
    name: its name, or "operator:first output" where it has none.
    opset: version of its domain's operators.
    attributes: Python values, numpy arrays, tuples of these, and `Graph`s.
    inputs, outputs: names of values; "" where left out.
    """

    domain: str
    operator: str
    name: str
    opset: int
    attributes: Mapping[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @functools.cached_property
    def graphs(self) -> tuple["Graph", ...]:
        """The graphs among its attributes."""
        return tuple(value for value in self.attributes.values() if isinstance(value, Graph))

    def reads(self) -> set[str]:
        """Returns the names of all values that it reads, those read inside its graphs included."""
        names = {name for name in self.inputs if name}
        for graph in self.graphs:
            names |= graph.captured()
        return names


@dataclasses.dataclass(frozen=True)
class Graph:
    """A graph.

    nodes: in an order in which they can run.
    inputs: names of its arguments.
    outputs: names of its results.
    initialisers: tensors that the file gives a name to.
    constants: tensors that nodes hold.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    initialisers: Mapping[str, np.ndarray]
    constants: Mapping[str, np.ndarray]

    def captured(self) -> set[str]:
        """Returns the names of the values that it reads from the graph around it."""
        reads = set(self.outputs).union(*(node.reads() for node in self.nodes)) if self.nodes else set(self.outputs)
        made = {name for node in self.nodes for name in node.outputs}
        return reads - made - set(self.inputs) - self.initialisers.keys() - self.constants.keys()

    def walk(self) -> Iterator["Graph"]:
        """Yields this graph and all graphs inside its nodes."""
        yield self
        for node in self.nodes:
            for graph in node.graphs:
                yield from graph.walk()


def live(graph: Graph) -> Graph:
    """Returns a graph without what its outputs do not depend on; outputs that nothing reads lose their names."""
    wanted, kept = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if wanted.intersection(node.outputs):
            attributes = {key: live(a) if isinstance(a, Graph) else a for key, a in node.attributes.items()}
            outputs = tuple(name if name in wanted else "" for name in node.outputs)
            kept.append(dataclasses.replace(node, attributes=attributes, outputs=outputs))
            wanted |= kept[-1].reads()
    initialisers, constants = (
        {name: value for name, value in tensors.items() if name in wanted}
        for tensors in (graph.initialisers, graph.constants)
    )
    return dataclasses.replace(graph, nodes=tuple(reversed(kept)), initialisers=initialisers, constants=constants)


def without(graph: Graph, names: Container[str]) -> Graph:
    """Returns a graph, and all graphs inside it, without the tensors of these names."""
    nodes = tuple(
        dataclasses.replace(
            node,
            attributes={key: without(a, names) if isinstance(a, Graph) else a for key, a in node.attributes.items()},
        )
        if node.graphs
        else node
        for node in graph.nodes
    )
    initialisers, constants = (
        {name: value for name, value in tensors.items() if name not in names}
        for tensors in (graph.initialisers, graph.constants)
    )
    return dataclasses.replace(graph, nodes=nodes, initialisers=initialisers, constants=constants)
