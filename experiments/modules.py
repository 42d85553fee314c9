"""PyTorch modules as networks over pictures with channels last, and the packages that they need."""

import dataclasses
import importlib
import importlib.util
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

from jaxevo import interop
from jaxevo.network import Network, Output

#: What networks of timm need, as it is imported; pip calls them the same.
TIMM = ("timm", "torch", "onnx", "onnxscript")


def absent(packages: Iterable[str]) -> list[str]:
    """Returns which of some packages are not installed."""
    return [package for package in packages if importlib.util.find_spec(package) is None]


def timm(name: str, *, pretrained: bool, **settings: Any) -> Any:
    """Makes a network of timm, with its published weights or random ones, in inference mode."""
    importlib.import_module("torch").manual_seed(0)
    return importlib.import_module("timm").create_model(name, pretrained=pretrained, **settings).eval()


def over_pictures(
    module: Any,
    shape: tuple[int, int, int],
    name: str,
    *,
    spread: float = 1.0,
    output: Output = "logits",
    classes: tuple[str, ...] | None = None,
) -> Network:
    """Takes in a module over pictures [B, channels, height, width] as a network that takes channels last.

    Args:
      module: the PyTorch module, in inference mode.
      shape: height, width and channels of a picture.
      name, output, classes: of the network.
      spread: what pictures of standard deviation 1 are multiplied by.

    Returns:
      The network; its parameters are those of `from_torch`.
    """
    height, width, channels = shape
    taken = interop.from_torch(module, jax.ShapeDtypeStruct((2, channels, height, width), jnp.float32), output=output)

    def apply(params, inputs):
        inputs = inputs if spread == 1.0 else inputs * spread
        return taken.apply(params, jnp.moveaxis(inputs, -1, 1))

    pictures = jax.ShapeDtypeStruct((height, width, channels), jnp.float32)
    return dataclasses.replace(taken, apply=apply, inputs=pictures, name=name, classes=classes)
