"""Runs graphs: what is known beforehand with numpy, the rest as JAX, one node after the other."""

import dataclasses
from collections import ChainMap
from collections.abc import Callable, Container, Mapping, Sequence, Set
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.interop.onnx import table
from jaxevo.interop.onnx.dtypes import canonical, saturated
from jaxevo.interop.onnx.graphs import Graph, Node, live
from jaxevo.interop.onnx.parameters import SETTINGS
from jaxevo.interop.onnx.table import Call, Value, is_static

#: Bytes from which a constant of one repeated number is made where it is used, instead of lying in the graph.
REPEATED = 2**10
#: Bytes of all constants that are computed at import.
MOST_FOLDED = 2**27


def check_known(graph: Graph) -> None:
    """Raises ValueError, naming every operator that is missing with one of its nodes."""
    missing: dict[tuple[str, str], str] = {}
    for part in graph.walk():
        for node in part.nodes:
            if table.find(node.domain, node.operator) is None:
                missing.setdefault((node.domain, node.operator), node.name)
    if missing:
        listing = ", ".join(
            f"{operator}{f' of domain {domain!r}' if domain else ''} (node {name!r})"
            for (domain, operator), name in sorted(missing.items())
        )
        raise ValueError(
            f"from_onnx: {len(missing)} operators of the file are missing: {listing}; "
            "export the model without them, or enter them with jaxevo.interop.onnx.table.operator"
        )


def fold(graph: Graph, params: Container[str]) -> Graph:
    """Computes whatever depends on neither inputs nor parameters, and chooses branches that are decided by then.

    Args:
      graph: the graph.
      params: names of the parameters.

    Returns:
      A graph without these nodes; their results are among its constants.
    """
    constants, initialisers, kept = dict(graph.constants), dict(graph.initialisers), []
    known: dict[str, Value] = {n: v for n, v in (initialisers | constants).items() if n not in params}
    taken = initialisers.keys() | constants.keys() | {n for node in graph.nodes for n in node.outputs}
    ahead, room = list(reversed(graph.nodes)), MOST_FOLDED
    while ahead:
        node = ahead.pop()
        branch = _branch(node, known, taken)
        if branch is not None:
            initialisers.update(branch.initialisers)
            constants.update(branch.constants)
            tensors = {**branch.initialisers, **branch.constants}
            known.update({name: value for name, value in tensors.items() if name not in params})
            taken |= tensors.keys() | {name for inner in branch.nodes for name in inner.outputs}
            ahead += reversed((*branch.nodes, *_handed_on(node, branch)))
        elif not node.graphs and all(name in known for name in node.inputs if name):
            results = evaluate(node, known)
            room -= sum(value.nbytes for value in results.values() if value is not None and 0 not in value.strides)
            if room < 0:
                raise ValueError(
                    f"from_onnx: constants grow past {MOST_FOLDED} bytes at node {node.name!r} ({node.operator}), "
                    "which no network needs; check where the file comes from"
                )
            known |= results
            constants |= results
        else:
            kept.append(node)
    return live(dataclasses.replace(graph, nodes=tuple(kept), initialisers=initialisers, constants=constants))


def run(graph: Graph, args: Sequence[Value | None], outer: Mapping[str, Any]) -> tuple[Value, ...]:
    """Runs a graph.

    Args:
      graph: the graph, without tensors that are parameters.
      args: its inputs, in order.
      outer: values by name that it reads from around it: parameters, and values of the graph that it lies in.

    Returns:
      Its outputs, in order.
    """
    own: dict[str, Any] = {**graph.initialisers, **graph.constants}
    own.update(zip(graph.inputs, args, strict=False))
    values = ChainMap(own, outer)  # pyright: ignore[reportArgumentType]  # only the first map is written to
    for node in graph.nodes:
        own.update(evaluate(node, values))
    return tuple(values[name] for name in graph.outputs)


def evaluate(node: Node, values: Mapping[str, Any]) -> dict[str, Any]:
    """Runs one node.

    Args:
      node: the node.
      values: what it reads, by name.

    Returns:
      Its outputs that have names; numpy arrays where all inputs are.

    Raises:
      ValueError: where it does not run; names the node.
    """
    function = table.find(node.domain, node.operator)
    assert function is not None, "operators are checked before anything runs"
    inputs = [values[name] if name else None for name in node.inputs]
    attributes = node.attributes
    if node.graphs:
        attributes = {key: _runner(a, values) if isinstance(a, Graph) else a for key, a in attributes.items()}
    call = Call(node.operator, node.name, node.opset, attributes, tuple(bool(name) for name in node.outputs))
    try:
        if is_static(*inputs) and not node.graphs:
            _check_room(call, inputs)
            with jax.ensure_compile_time_eval(), np.errstate(all="ignore"):
                outputs = [_known(value) for value in _listed(function(call, *inputs))]
        else:
            settings = SETTINGS.get(node.operator, ())
            outputs = _listed(
                function(call, *(value if i in settings else _spread(value) for i, value in enumerate(inputs)))
            )
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith("from_onnx: "):
            raise
        shapes = ", ".join("none" if value is None else str(list(np.shape(value))) for value in inputs)
        raise call.refuse(
            f"does not run on inputs of shape {shapes}: {error}; check the shapes of the inputs"
        ) from error
    return {name: value for name, value in zip(node.outputs, outputs, strict=False) if name}


def _branch(node: Node, known: Mapping[str, Value], taken: Set[str]) -> Graph | None:
    """Returns the branch that a node takes, where that is decided and its names are free."""
    if node.operator != "If" or not node.inputs or node.inputs[0] not in known:
        return None
    which = "then_branch" if np.asarray(known[node.inputs[0]]).all() else "else_branch"
    branch = node.attributes.get(which)
    if not isinstance(branch, Graph):
        raise ValueError(f"from_onnx: node {node.name!r} (If) has no graph {which!r}; the file is damaged")
    names = {name for inner in branch.nodes for name in inner.outputs if name}
    free = taken.isdisjoint(names | branch.initialisers.keys() | branch.constants.keys())
    return branch if free else None


def _handed_on(node: Node, branch: Graph) -> list[Node]:
    return [
        Node("", "Identity", node.name, node.opset, {}, (inner,), (outer,))
        for inner, outer in zip(branch.outputs, node.outputs, strict=False)
        if outer
    ]


def _runner(graph: Graph, values: Mapping[str, Any]) -> Callable[..., tuple[Value, ...]]:
    return lambda *args: run(graph, args, values)


def _listed(outputs: Any) -> Sequence[Any]:
    return outputs if isinstance(outputs, tuple | list) else (outputs,)


def _known(value: Any) -> np.ndarray | None:
    return None if value is None else np.asarray(value)


def _check_room(call: Call, inputs: Sequence[Any]) -> None:
    # A table of two long vectors is the way in which a few bytes become many, without a shape that is written down.
    shapes = [value.shape for value in inputs if value is not None]
    length = max((len(shape) for shape in shapes), default=0)
    aligned = [(1,) * (length - len(shape)) + tuple(shape) for shape in shapes]
    call.check_room(tuple(max(sizes) for sizes in zip(*aligned, strict=True)))


def _spread(value: Any) -> Any:
    """Returns a constant as JAX takes it: held in the range of 32 bits, as an operation where one number is repeated.

    A repeated number does not lie in the graph as a whole. Bounds such as the largest int64 stay bounds.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and canonical(value.dtype) != value.dtype:
        value = saturated(value, canonical(value.dtype))
    if isinstance(value, np.ndarray) and value.nbytes > REPEATED and 0 in value.strides:
        index = tuple(slice(0, 1) if stride == 0 else slice(None) for stride in value.strides)
        return jnp.broadcast_to(value[index], value.shape)
    return value
