"""`to_onnx`: a network is traced and its equations are written as an ONNX file, the importer's mirror."""

import importlib.metadata
import json
import os
import pathlib
import tempfile
from typing import Any

import jax
import numpy as np

from jaxevo.checks import check_path
from jaxevo.graph import path_name
from jaxevo.interop.doors import came
from jaxevo.interop.onnx.emission import Emission, code_of
from jaxevo.interop.onnx.equations import missing, write
from jaxevo.interop.onnx.lengths import SIZES, Batch
from jaxevo.interop.onnx.primitives.control import lengths_of
from jaxevo.interop.onnx.reading import PARAMETERS
from jaxevo.interop.onnx.views import View
from jaxevo.libraries import library
from jaxevo.network import Network, batched

#: The operator set that files are written for, and the version of the format that came with it: old enough for the
#: runtimes that are about, new enough for reductions whose axes are inputs.
OPSET, FORMAT = 18, 8
#: Bytes from which arrays go into a file beside it: the format ends at two gigabytes.
_LARGE = 2**31 - 2**24


def to_onnx(network: Network, path: str | os.PathLike[str] | None = None) -> Any:
    """Writes a network as an ONNX model with a batch axis of any length, in its own precision.

    Parameters are initialisers under their own paths, so that `from_onnx` gives them back.

    Args:
      network: the network, such as an offspring that `space.decode` gave.
      path: where the file goes, ending in ".onnx"; a file that lies there is replaced once the new one is whole. Arrays
        of more than two gigabytes go into a second file beside it, of the same name with ".data" behind it.

    Returns:
      The `onnx.ModelProto`.

    Raises:
      ImportError: where the `onnx` package is missing.
      TypeError: where network is no `Network`.
      ValueError: where the network computes what ONNX has no operators for (all such primitives are named), or depends
        on the length of the batch.
    """
    if not isinstance(network, Network):
        raise TypeError(f"to_onnx: network is {came(network)}, expected a jaxevo.Network, such as space.decode gives")
    if path is not None and check_path("to_onnx", "path", path).suffix != ".onnx":
        raise ValueError(f"to_onnx: path is {str(path)!r}, expected a name that ends in .onnx")
    onnx = library("to_onnx", "onnx", "onnx", "'jaxevo[onnx]'")
    model = _model(onnx, network)
    if path is not None:
        _save(onnx, model, pathlib.Path(path))
    return model


def _model(onnx: Any, network: Network) -> Any:
    (one, shapes), (other, _) = (
        jax.make_jaxpr(network.apply, return_shape=True)(network.params, batched(network.inputs, size))
        for size in SIZES
    )
    _check(network, one, shapes)
    emission = Emission(onnx)
    leaves = jax.tree_util.tree_leaves_with_path(network.params)
    inputs = jax.tree_util.tree_leaves_with_path(network.inputs)
    names = _names(emission, inputs, "input"), _names(emission, jax.tree_util.tree_leaves_with_path(shapes), "output")
    params, arguments = {}, []
    for path, leaf in leaves:
        array = np.asarray(leaf)
        name = emission.reserve(path_name(path) or "parameter")
        params[name] = array
        arguments.append(View(name, tuple(range(array.ndim)), array.shape, array.dtype))
    for name, (_, leaf) in zip(names[0], inputs, strict=True):
        shape = (Batch(1), *leaf.shape)
        arguments.append(View(name, tuple(range(len(shape))), shape, np.dtype(leaf.dtype)))
    emission.follow(names[0][0])
    results = write(emission, (one, other), arguments)
    for name, view in zip(names[1], results, strict=True):
        emission.give(view.write(emission), name)
    helper = onnx.helper

    def described(name: str, view: View) -> Any:
        return helper.make_tensor_value_info(name, code_of(view.dtype), lengths_of(view.shape))

    nodes, used = _used(emission.nodes(), names[1])
    arrays = {name: array for name, array in (params | emission.initialisers).items() if name in used}
    graph = helper.make_graph(
        nodes,
        network.name,
        [described(name, view) for name, view in zip(names[0], arguments[len(leaves) :], strict=True)],
        [described(name, view) for name, view in zip(names[1], results, strict=True)],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=FORMAT,
        producer_name="jaxevo",
        producer_version=importlib.metadata.version("jaxevo"),
    )
    helper.set_model_props(model, {PARAMETERS: json.dumps([name for name in params if name in used])})
    return model


def _check(network: Network, jaxpr: Any, outputs: Any) -> None:
    """Refuses a network that ONNX cannot say, with all that is missing."""
    absent = missing(jaxpr)
    if absent:
        listing = ", ".join(f"{name} ({len(places)} times{_in(places)})" for name, places in sorted(absent.items()))
        raise ValueError(
            f"to_onnx: network {network.name!r} computes what ONNX has no operators for, or none that jaxevo writes: "
            f"{listing}; replace these in the network, or use to_stablehlo"
        )
    if any(leaf.shape[:1] != (SIZES[0],) for leaf in jax.tree.leaves(outputs)):
        raise ValueError(f"to_onnx: an output of network {network.name!r} has no batch axis in front; give it one")


def _in(places: list[str]) -> str:
    return f", first in {places[0]}" if places[0] else ""


def _names(emission: Emission, leaves: list[tuple[Any, Any]], alone: str) -> list[str]:
    """Reserves names for inputs or outputs: their paths, or `alone` for one that has none."""
    return [emission.reserve(path_name(path) or alone) for path, _ in leaves]


def _used(nodes: list[Any], outputs: list[str]) -> tuple[list[Any], set[str]]:
    """Returns the nodes that lead to the outputs, and the names of all that these read."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if any(name in needed for name in node.output):
            needed.update(_reads(node))
            kept.append(node)
    return kept[::-1], needed


def _reads(node: Any) -> set[str]:
    """Returns the names that a node reads, those that graphs inside it take from outside among them."""
    found = set(node.input)
    for attribute in node.attribute:
        for inner in attribute.g.node:
            found |= _reads(inner)
    return found - {""}


def _save(onnx: Any, model: Any, path: pathlib.Path) -> None:
    """Writes a model into a folder beside the place where it goes, then moves it there."""
    if not path.parent.is_dir():
        raise ValueError(f"to_onnx: path is {str(path)!r}, but {str(path.parent)!r} is no folder; make it first")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        whole = pathlib.Path(folder) / path.name
        if model.ByteSize() < _LARGE:
            onnx.save(model, whole)
        else:
            copy = onnx.ModelProto()
            copy.CopyFrom(model)
            onnx.save(copy, whole, save_as_external_data=True, location=f"{path.name}.data")
            os.replace(f"{whole}.data", f"{path}.data")
        os.replace(whole, path)
