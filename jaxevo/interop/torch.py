"""PyTorch networks in and out: exported as ONNX with every parameter kept under its own name, and filled in again."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import ml_dtypes
import numpy as np

from jaxevo.checks import check_network
from jaxevo.interop.doors import came
from jaxevo.interop.onnx.importing import load, network_of
from jaxevo.interop.weights import numpy_of
from jaxevo.libraries import library
from jaxevo.network import Convention, Network, Output, PyTree


def from_torch(
    module: Any,
    example: PyTree,
    *,
    name: str | None = None,
    output: Output = "logits",
    classes: Sequence[str] | None = None,
    convention: Convention | None = None,
) -> Network:
    """Takes in a trained PyTorch network, in inference mode; the module itself is left as it is.

    A copy in eval mode is exported by `torch.onnx.export`, nothing folded, with a batch axis of any length, and read by
    the importer behind `from_onnx`.

    Args:
      module: the module; it takes a batch of inputs.
      example: array or `ShapeDtypeStruct` [B, ...], or a dict of them by the names of the arguments of `forward`;
        floating-point or integer, NumPy, JAX or PyTorch. Where indices go in, it must hold some that exist.
      name, output, classes, convention: as in `Network`; the name is by default that of the module's class.

    Returns:
      The network; its parameters are a dict of arrays by the keys of `module.state_dict()`. Several outputs are a dict
      by the export's names.

    Raises:
      ImportError: where PyTorch, onnx or onnxscript is missing.
      TypeError: where `module` is no PyTorch module or `example` holds no arrays.
      ValueError: where the module cannot be exported for a batch of any length, or does not run.
    """
    model, learned = export("from_torch", module, example)
    imported = load(model, learned=learned)
    single = len(imported.graph.outputs) == 1
    name = type(module).__name__ if name is None else name
    return network_of(
        imported, single, name=name, output=output, classes=classes, convention=convention, where="from_torch"
    )


def export(where: str, module: Any, example: PyTree) -> tuple[Any, frozenset[str]]:
    """Writes a PyTorch module as an ONNX model, in inference mode and nothing folded; the module is left as it is.

    Args:
      where: the door, the start of every message.
      module, example: as in `from_torch`.

    Returns:
      The `onnx.ModelProto`, and the names of the module's parameters and buffers.

    Raises:
      as `from_torch`.
    """
    torch = library(where, "torch", "PyTorch", "'jaxevo[torch]'")
    _check_module(where, torch, module)
    library(where, "onnxscript", "onnxscript")
    frozen = copy.deepcopy(module).cpu().eval()
    named = isinstance(example, Mapping)
    tensors = {key: _tensor(where, torch, leaf) for key, leaf in (example if named else {"": example}).items()}
    free = {key: {0: torch.export.Dim.DYNAMIC} for key in tensors}
    try:
        # The exporter warns about its own parts.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                frozen,
                () if named else (tensors[""],),
                kwargs=tensors if named else None,
                dynamic_shapes=free if named else (free[""],),
                dynamo=True,
                optimize=False,
                verbose=False,
            )
            model = program.model_proto
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:300]
        raise ValueError(
            f"{where}: {type(module).__name__} cannot be exported for a batch of any length ({type(error).__name__}: "
            f"{reason}); check the example, and that forward does not depend on values or on the batch's length"
        ) from error
    return model, frozenset(key for key, _ in (*frozen.named_parameters(), *frozen.named_buffers()))


def to_torch(network: Network, module: Any) -> Any:
    """Puts the parameters of a network whose structure is unchanged into a PyTorch module.

    Args:
      network: from `from_torch`, perhaps with other values.
      module: a module of the same structure, such as the one that came in; it is left as it is.

    Returns:
      A copy of `module`, in the mode that `module` is in, with the network's parameters.

    Raises:
      ImportError: where PyTorch is missing.
      TypeError: where `module` is no PyTorch module, or the network's parameters are no dict of arrays.
      ValueError: where the parameters do not fit the module's.
    """
    torch = library("to_torch", "torch", "PyTorch", "'jaxevo[torch]'")
    _check_module("to_torch", torch, module)
    check_network("to_torch", "network", network)
    if not isinstance(network.params, Mapping):
        raise TypeError(
            f"to_torch: network {network.name!r} has parameters of type {type(network.params).__name__}, expected the "
            "dict by names that from_torch gives; a network whose structure changed does not go back into a module"
        )
    filled = copy.deepcopy(module)
    places = dict(filled.named_parameters(remove_duplicate=False)) | dict(filled.named_buffers(remove_duplicate=False))
    for key, value in network.params.items():
        held = list(np.shape(value))
        wanted = list(places[key].shape) if key in places else "none of that name"
        if held != wanted:
            raise ValueError(
                f"to_torch: the network's parameters do not fit the module at {key!r}: the network has {held}, "
                f"the module {wanted}; pass the module that came in, and only a network whose structure is unchanged"
            )
    with torch.no_grad():
        for key, value in network.params.items():
            place = places[key]
            array = np.asarray(value).astype(numpy_of(place).dtype)
            bits = array.view(np.int16) if place.dtype == torch.bfloat16 else array
            tensor = torch.from_numpy(np.array(bits))
            place.copy_(tensor.view(torch.bfloat16) if place.dtype == torch.bfloat16 else tensor)
    return filled


def _check_module(where: str, torch: Any, module: Any) -> None:
    if not isinstance(module, torch.nn.Module):
        raise TypeError(
            f"{where}: module is {came(module)}, expected a torch.nn.Module instance; files come in by from_onnx"
        )


def _tensor(where: str, torch: Any, leaf: Any) -> Any:
    """Returns a batch of at least two examples, since an exporter takes an axis of length one for a fixed one."""
    if isinstance(leaf, torch.Tensor):
        array = numpy_of(leaf)
    elif isinstance(leaf, jax.ShapeDtypeStruct):
        array = np.zeros(leaf.shape, leaf.dtype)
    elif isinstance(leaf, np.ndarray | jax.Array):
        array = np.asarray(leaf)
    else:
        raise TypeError(f"{where}: example holds a {type(leaf).__name__}, expected arrays [B, ...]")
    if not array.ndim or not array.shape[0]:
        raise ValueError(f"{where}: example has shape {list(array.shape)}, expected [B, ...] with a batch axis")
    rows = np.resize(np.arange(array.shape[0]), max(2, array.shape[0]))
    taken = np.array(array[rows])
    if taken.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(taken.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(taken)
