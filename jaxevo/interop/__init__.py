"""Networks in and out: each door takes a network of another library as a `Network` and gives it back."""

from jaxevo.interop.flax import from_flax, to_flax, trainable_from_flax

__all__ = ["from_flax", "to_flax", "trainable_from_flax"]
