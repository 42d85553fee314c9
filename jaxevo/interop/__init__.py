"""Networks in and out: each door takes a network of another library as a `Network` and gives it back."""

from jaxevo.interop.equinox import from_equinox, to_equinox, trainable_from_equinox
from jaxevo.interop.flax import from_flax, to_flax, trainable_from_flax
from jaxevo.interop.haiku import from_haiku, to_haiku, trainable_from_haiku
from jaxevo.interop.nnx import from_nnx, to_nnx, trainable_from_nnx
from jaxevo.interop.onnx import from_onnx, to_onnx
from jaxevo.interop.stablehlo import to_stablehlo
from jaxevo.interop.torch import from_torch, to_torch
from jaxevo.interop.weights import load_state, save_state

__all__ = [
    "from_equinox",
    "from_flax",
    "from_haiku",
    "from_nnx",
    "from_onnx",
    "from_torch",
    "load_state",
    "save_state",
    "to_equinox",
    "to_flax",
    "to_haiku",
    "to_nnx",
    "to_onnx",
    "to_stablehlo",
    "to_torch",
    "trainable_from_equinox",
    "trainable_from_flax",
    "trainable_from_haiku",
    "trainable_from_nnx",
]
