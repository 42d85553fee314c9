"""Messages of ONNX files become graphs: nodes in an order in which they can run, functions of the file written out."""

import dataclasses
import heapq
import pathlib
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any

import numpy as np

from jaxevo.interop.onnx.graphs import Graph, Node
from jaxevo.interop.onnx.reading import File
from jaxevo.interop.onnx.tensors import array, dense

#: Nodes that the functions of a file may come to once they are written out; a small file can be made to grow for ever.
MOST_NODES = 25_000
#: How deep functions may call each other.
MOST_CALLS = 64
#: Elements of a sparse tensor, which may claim any size in a few bytes.
MOST_SPARSE = 2**26


def graph_of(file: File) -> Graph:
    """Returns the graph of a file.

    Raises:
      ValueError: where its tensors, names or functions make no graph that can run.
    """
    return _Reader(file).graph(file.model.graph, _Scope(file.opsets, lambda name: name, {}, ()))


@dataclasses.dataclass(frozen=True)
class _Scope:
    """Where nodes are read: the main graph, or the body of a function at one of its calls.

    opsets: versions of operator sets by domain.
    rename: what a value of the file is called.
    attributes: what the function was called with.
    calls: the functions around, outermost first.
    """

    opsets: Mapping[str, int]
    rename: Callable[[str], str]
    attributes: Mapping[str, Any]
    calls: tuple[tuple[str, str, str], ...]


class _Reader:
    """Reads graphs of one file; counts what its functions come to."""

    def __init__(self, file: File):
        self.folder: pathlib.Path | None = file.folder
        self.functions = {
            (_domain(function.domain), function.name, function.overload): function for function in file.model.functions
        }
        self.written = 0
        #: How often a name was given, and the prefixes that were.
        self.prefixes: dict[str, int] = {}

    def graph(self, proto: Any, scope: _Scope, outer: frozenset[str] = frozenset()) -> Graph:
        initialisers = {scope.rename(t.name): array(t, self.folder) for t in proto.initializer}
        for sparse in proto.sparse_initializer:
            initialisers[scope.rename(sparse.values.name)] = dense(sparse, self.folder, MOST_SPARSE)
        inputs = tuple(scope.rename(value.name) for value in proto.input)
        inputs = tuple(name for name in inputs if name not in initialisers)
        own = initialisers.keys() | set(inputs)
        made = outer | own | {scope.rename(name) for node in proto.node for name in node.output if name}
        constants: dict[str, np.ndarray] = {}
        nodes = self.nodes(proto.node, scope, constants, made)
        nodes = _sorted(nodes, own | constants.keys(), outer)
        outputs = tuple(scope.rename(value.name) for value in proto.output)
        absent = [name for name in outputs if name not in made]
        if absent:
            raise ValueError(f"from_onnx: no node gives the output {absent[0]!r}; the file is damaged")
        return Graph(nodes, inputs, outputs, initialisers, constants)

    def nodes(
        self, protos: Iterable[Any], scope: _Scope, constants: dict[str, np.ndarray], outer: frozenset[str]
    ) -> list[Node]:
        found: list[Node] = []
        for proto in protos:
            self.written += bool(scope.calls)
            if self.written > MOST_NODES:
                raise ValueError(
                    f"from_onnx: functions of the file come to more than {MOST_NODES} nodes once they are written out, "
                    "which no network needs; check where the file comes from"
                )
            domain = _domain(proto.domain)
            called = (domain, proto.op_type, proto.overload)
            if called in self.functions:
                found += self.call(proto, called, scope, constants, outer)
                continue
            inputs, outputs = (
                tuple(scope.rename(n) if n else "" for n in names) for names in (proto.input, proto.output)
            )
            attributes = self.attributes(proto, scope, outer)
            if domain == "" and proto.op_type == "Constant" and len(outputs) == 1:
                constants[outputs[0]] = _constant(proto, attributes)
                continue
            if domain not in scope.opsets and domain == "":
                raise ValueError(f"from_onnx: a function with node {proto.name!r} names no version of ONNX's operators")
            name = proto.name or f"{proto.op_type}:{next(filter(None, outputs), '')}"
            found.append(Node(domain, proto.op_type, name, scope.opsets.get(domain, 1), attributes, inputs, outputs))
        return found

    def call(
        self,
        proto: Any,
        called: tuple[str, str, str],
        scope: _Scope,
        constants: dict[str, np.ndarray],
        outer: frozenset[str],
    ) -> list[Node]:
        """Writes out a function of the file at one of its calls; its own values get the call's name before theirs."""
        function = self.functions[called]
        if called in scope.calls:
            raise ValueError(
                f"from_onnx: function {function.name!r} calls itself, so that it never ends; the file is damaged"
            )
        if len(scope.calls) >= MOST_CALLS:
            raise ValueError(
                f"from_onnx: functions call each other more than {MOST_CALLS} deep at {function.name!r}, which no "
                "network needs; check where the file comes from"
            )
        if len(proto.input) > len(function.input) or len(proto.output) > len(function.output):
            raise ValueError(
                f"from_onnx: node {proto.name!r} calls function {function.name!r} with more inputs or "
                "outputs than it has; the file is damaged"
            )
        prefix = self.prefix(scope.rename(proto.name or next(filter(None, proto.output), called[1])))
        names = dict.fromkeys(function.input, "")
        names |= {inner: scope.rename(name) for inner, name in zip(function.input, proto.input, strict=False) if name}
        names |= {inner: scope.rename(name) for inner, name in zip(function.output, proto.output, strict=False) if name}
        defaults = {a.name: self.attribute(a, scope, outer) for a in function.attribute_proto}
        given = defaults | self.attributes(proto, scope, outer)
        opsets = {_domain(entry.domain): int(entry.version) for entry in function.opset_import}
        inner = _Scope(
            opsets, lambda name: names[name] if name in names else prefix + name, given, (*scope.calls, called)
        )
        made = frozenset(inner.rename(name) for node in function.node for name in node.output if name)
        nodes = self.nodes(function.node, inner, constants, outer | made)
        # An output that is an input of the function, unchanged.
        for output in function.output:
            if output in function.input and names[output]:
                raise ValueError(
                    f"from_onnx: function {function.name!r} gives an input back without a node; not a function"
                )
        return nodes

    def prefix(self, name: str) -> str:
        """Returns what comes before the values of a function at a call, another one each time."""
        count = self.prefixes.get(name, 0) + 1
        found = f"{name}/" if count == 1 else f"{name}#{count}/"
        while found in self.prefixes:
            count += 1
            found = f"{name}#{count}/"
        self.prefixes |= {name: count, found: 1}
        return found

    def attributes(self, proto: Any, scope: _Scope, outer: frozenset[str]) -> dict[str, Any]:
        found = {}
        for attribute in proto.attribute:
            if not attribute.ref_attr_name:
                found[attribute.name] = self.attribute(attribute, scope, outer)
            elif attribute.ref_attr_name in scope.attributes:
                value = scope.attributes[attribute.ref_attr_name]
                if isinstance(value, Graph):
                    raise ValueError(
                        f"from_onnx: node {proto.name!r} takes a graph from the function around it; write the "
                        "functions out with onnx.inliner first"
                    )
                found[attribute.name] = value
        return found

    def attribute(self, proto: Any, scope: _Scope, outer: frozenset[str]) -> Any:
        kind = proto.type or next((code for code, field in _KINDS.items() if proto.HasField(field)), 0)
        match kind:
            case 1:
                return float(proto.f)
            case 2:
                return int(proto.i)
            case 3:
                return _text(proto.s)
            case 4:
                return array(proto.t, self.folder)
            case 5:
                return self.graph(proto.g, scope, outer)
            case 6:
                return tuple(float(value) for value in proto.floats)
            case 7:
                return tuple(int(value) for value in proto.ints)
            case 8:
                return tuple(_text(value) for value in proto.strings)
            case 9:
                return tuple(array(tensor, self.folder) for tensor in proto.tensors)
            case 11:
                return dense(proto.sparse_tensor, self.folder, MOST_SPARSE)
            case 13:
                return None
            case _:
                raise ValueError(
                    f"from_onnx: attribute {proto.name!r} is of type {kind}, expected numbers, text, tensors or a graph"
                )


#: Fields of attributes of files so old that they do not say the type.
_KINDS = {1: "f", 2: "i", 3: "s", 4: "t", 5: "g"}
_NUMBERS = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}


def _constant(proto: Any, attributes: Mapping[str, Any]) -> np.ndarray:
    for name in ("value", "sparse_value"):
        if isinstance(attributes.get(name), np.ndarray):
            return attributes[name]
    for name, dtype in _NUMBERS.items():
        if name in attributes:
            return np.asarray(attributes[name], dtype)
    raise ValueError(
        f"from_onnx: node {proto.name!r} (Constant) holds {sorted(attributes)}, expected numbers; "
        "remove it from the model"
    )


def _sorted(nodes: list[Node], own: Set[str], outer: Set[str]) -> tuple[Node, ...]:
    """Returns nodes in an order in which each comes after those that it reads, the file's own where that is one.

    Args:
      nodes: the nodes of one graph.
      own: names that the graph itself gives to inputs and tensors.
      outer: names of the graphs around it.
    """
    made: dict[str, Node] = {}
    for node in nodes:
        for name in filter(None, node.outputs):
            if name in made or name in own:
                raise ValueError(
                    f"from_onnx: value {name!r} is given twice, the second time by node {node.name!r}; "
                    "the file is damaged"
                )
            made[name] = node
    ready = own | outer
    waits = {index: node.reads() - ready for index, node in enumerate(nodes)}
    readers: dict[str, list[int]] = {}
    for index, names in waits.items():
        for name in names:
            readers.setdefault(name, []).append(index)
    # The earliest node of the file that can run comes next.
    heap = [index for index, names in waits.items() if not names]
    heapq.heapify(heap)
    order = []
    while heap:
        index = heapq.heappop(heap)
        order.append(nodes[index])
        for name in filter(None, nodes[index].outputs):
            for reader in readers.get(name, ()):
                waits[reader].discard(name)
                if not waits[reader]:
                    heapq.heappush(heap, reader)
    if len(order) < len(nodes):
        _refuse_order([node for index, node in enumerate(nodes) if waits[index]], ready, made)
    return tuple(order)


def _refuse_order(nodes: list[Node], ready: Set[str], made: Mapping[str, Node]) -> None:
    for node in nodes:
        for name in node.reads() - ready:
            if name not in made:
                raise ValueError(
                    f"from_onnx: node {node.name!r} ({node.operator}) reads {name!r}, which no node, input or tensor "
                    "gives; the file is damaged"
                )
    raise ValueError(
        f"from_onnx: node {nodes[0].name!r} ({nodes[0].operator}) depends on its own output, so that the graph has a "
        "circle and cannot run; the file is damaged"
    )


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
