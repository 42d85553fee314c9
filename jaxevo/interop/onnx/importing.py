"""`from_onnx`: a file becomes a `Network` whose traced graph holds only what depends on inputs and parameters."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.interop.doors import describe
from jaxevo.interop.onnx import operators as _operators  # noqa: F401  # enters the operators into the table
from jaxevo.interop.onnx.dtypes import canonical, is_floating, saturated
from jaxevo.interop.onnx.graphs import Graph, live, without
from jaxevo.interop.onnx.parameters import parameters
from jaxevo.interop.onnx.parsing import graph_of
from jaxevo.interop.onnx.reading import read
from jaxevo.interop.onnx.running import check_known, fold, run
from jaxevo.interop.onnx.signature import Signature, signature
from jaxevo.network import Convention, Network, Output, PyTree, batched, check_inputs


class Import(NamedTuple):
    """A file that was read.

    graph: what is left to be run, without parameters.
    params: the parameters, by the file's names.
    signature: what it reads.
    name: what the network is called by default.
    """

    graph: Graph
    params: dict[str, np.ndarray]
    signature: Signature
    name: str


def from_onnx(
    source: Any,
    *,
    name: str | None = None,
    output: Output = "logits",
    outputs: str | Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    convention: Convention | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Network:
    """Takes in a network from an ONNX file, without running it.

    The leading axis of every input is the batch. A file written for one example (a leading axis of 1) runs the examples
    of a batch one by one, mapped. Files are parsed, never executed: data beside the file are read from its own folder
    only. Unless JAX computes with 64 bits, whole numbers of 64 are computed with 32, constants beyond them held at the
    ends of that range.

    Args:
      source: path of the file, its bytes, or an `onnx.ModelProto`.
      name, output, classes, convention: as in `Network`; the name is by default that of the file or of its graph.
      outputs: which outputs of the file to give: one name, or several for a dict by name; by default its output, or a
        dict of all where it has several.
      shapes: shapes of inputs of one example, without the batch axis, by name, for axes whose length the file leaves
        open.

    Returns:
      The network. One input is an array, several are a dict by name. Its parameters are a dict of arrays by the file's
      names: floating-point tensors but those that operators need as settings, and large tensors of integers.

    Raises:
      ImportError: where the `onnx` package is missing.
      FileNotFoundError: where no file lies at the path.
      TypeError: where an argument is of another kind.
      ValueError: where the file is no ONNX model, is damaged, needs operators that are missing (all are named) or an
        axis that is not given, or where it does not run on a batch of such inputs.
    """
    imported = load(source, outputs=outputs, shapes=shapes)
    single = isinstance(outputs, str) or (outputs is None and len(imported.graph.outputs) == 1)
    return network_of(imported, single, name=name, output=output, classes=classes, convention=convention)


def load(
    source: Any,
    *,
    outputs: str | Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    learned: frozenset[str] | None = None,
) -> Import:
    """Reads a file up to where it could run.

    Args:
      source, outputs, shapes: as in `from_onnx`.
      learned: names of its parameters, where they are known from elsewhere; by default those that the file names.

    Raises:
      as `from_onnx`.
    """
    file = read(source)
    learned = file.learned if learned is None else learned
    whole = graph_of(file)
    found = signature(file.model.graph, whole.inputs, shapes)
    graph = live(_choose(whole, outputs))
    check_known(graph)
    computed = {name for part in graph.walk() for node in part.nodes for name in node.outputs}
    graph = fold(graph, parameters(graph, learned))
    params = parameters(graph, learned, computed)
    return Import(without(graph, params), {n: _array(value) for n, value in params.items()}, found, file.name)


def network_of(
    imported: Import,
    single: bool,
    *,
    name: str | None,
    output: Output,
    classes: Sequence[str] | None,
    convention: Convention | None,
    where: str = "from_onnx",
) -> Network:
    """Makes a network of a file that was read.

    Args:
      imported: the file.
      single: whether its one output is the network's, rather than a dict of outputs.
      name, output, classes, convention: as in `Network`.
      where: the door, the start of every message.

    Raises:
      TypeError, ValueError: where the file does not run on a batch of inputs, or classes and outputs do not fit.
    """
    name = name or imported.name
    apply = _apply(imported, single, f"{where}: network {name!r}")
    example = batched(imported.signature.inputs, 1)
    try:
        facts = describe(where, apply, imported.params, example, output, classes)
    except ValueError as error:
        # The importer's own words are enough, they name the node.
        if isinstance(error.__cause__, ValueError) and str(error.__cause__).startswith("from_onnx: "):
            raise error.__cause__ from None
        raise
    return Network(apply, imported.params, facts.inputs, name, output, facts.classes, convention)


def _apply(imported: Import, single: bool, where: str) -> Callable[[PyTree, PyTree], PyTree]:
    graph, facts, names = imported.graph, imported.signature, imported.params.keys()

    def results(params, inputs):
        values = run(graph, facts.arguments(inputs), params)
        return [jnp.asarray(value) for value in values]

    def one(params, inputs):
        rows = results(params, jax.tree.map(lambda leaf: leaf[None], inputs))
        return [jnp.squeeze(row, 0) if row.shape[:1] == (1,) else row for row in rows]

    def apply(params, inputs):
        batch = check_inputs(where, facts.inputs, inputs)
        missing = sorted(names - params.keys())
        if missing:
            raise ValueError(f"{where}: params lacks {missing[0]!r}; pass the parameters of the network, all of them")
        inputs = jax.tree.map(_typed, inputs, facts.inputs)
        found = jax.vmap(lambda x: one(params, x))(inputs) if facts.single else results(params, inputs)
        for output, value in zip(graph.outputs, found, strict=True):
            # A Squeeze without axes drops the batch of one example, and of no other.
            if value.shape[:1] != (batch,):
                raise ValueError(
                    f"{where}: output {output!r} has shape {list(value.shape)} for a batch of {batch}, expected the "
                    "batch as leading axis; the file drops or fixes the batch axis, pass at least two examples"
                )
        return found[0] if single else dict(zip(graph.outputs, found, strict=True))

    return apply


def _typed(leaf: Any, like: jax.ShapeDtypeStruct) -> jax.Array:
    # Floating-point numbers stay what they are, so that a network also runs in half precision.
    array = jnp.asarray(leaf)
    return array if is_floating(array.dtype) else array.astype(like.dtype)


def _choose(graph: Graph, outputs: str | Sequence[str] | None) -> Graph:
    if outputs is None:
        return graph
    wanted = (outputs,) if isinstance(outputs, str) else tuple(outputs)
    unknown = [name for name in wanted if name not in graph.outputs]
    if unknown or not wanted:
        raise ValueError(
            f"from_onnx: outputs is {outputs!r}, expected one or several of {', '.join(map(repr, graph.outputs))}"
        )
    return dataclasses.replace(graph, outputs=wanted)


def _array(value: np.ndarray) -> np.ndarray:
    dtype = canonical(value.dtype)
    return saturated(value, dtype) if dtype != value.dtype and dtype.kind in "iu" else value.astype(dtype, copy=False)
