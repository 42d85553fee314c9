"""Networks in and out: each door takes a network of another library as a `Network` and gives it back."""

from jaxevo.interop.equinox import from_equinox, to_equinox
from jaxevo.interop.flax import from_flax, to_flax, trainable_from_flax
from jaxevo.interop.nnx import from_nnx, to_nnx

__all__ = ["from_equinox", "from_flax", "from_nnx", "to_equinox", "to_flax", "to_nnx", "trainable_from_flax"]
