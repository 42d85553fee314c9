"""The table of the zoo's families and `build`, which makes a network of one of them by name."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from experiments.zoo.convnext import ConvNeXt
from experiments.zoo.deeplab import DeepLab
from experiments.zoo.densenet import DenseNet
from experiments.zoo.efficientnet import EfficientNet
from experiments.zoo.mobilenet import MobileNet, MobileNetV3
from experiments.zoo.resnet import ResNet
from experiments.zoo.sizes import SIZES
from experiments.zoo.vgg import VGG
from experiments.zoo.vit import ViT
from jaxevo.checks import nearest
from jaxevo.interop.flax import trainable_from_flax
from jaxevo.network import Trainable, batched

FAMILIES: dict[str, type[nn.Module]] = {
    "convnext": ConvNeXt,
    "deeplab": DeepLab,
    "densenet": DenseNet,
    "efficientnet": EfficientNet,
    "mobilenet": MobileNet,
    "mobilenet_v3": MobileNetV3,
    "resnet": ResNet,
    "vgg": VGG,
    "vit": ViT,
}


def build(
    name: str,
    inputs: jax.ShapeDtypeStruct | Sequence[int] | None,
    classes: int | Sequence[str],
    **sizes: Any,
) -> Trainable:
    """Builds one network of the zoo.

    Args:
      name: its family, a key of `FAMILIES`, or a named size, a key of `SIZES`.
      inputs: one picture, (height, width, channels) or the `ShapeDtypeStruct` of one; None for the pictures that a
        named size is made for.
      classes: names of the classes, or how many there are.
      **sizes: fields of the family's module, such as `widths=(16, 32)`; they go before those of a named size.

    Returns:
      The trainable network.

    Raises:
      ValueError: where the name, a size or the shape is not known to work.
    """
    if name not in FAMILIES and name not in SIZES:
        raise ValueError(f"build: name is {name!r}; {_nearest(name, [*FAMILIES, *SIZES])}")
    family, usual, named = SIZES.get(name, (name, None, {}))
    module, inputs = FAMILIES[family], usual if inputs is None else inputs
    if inputs is None:
        raise ValueError(
            f"build: inputs is None, but {name!r} is a family, made for no pictures in particular; "
            "pass (height, width, channels), or a name of experiments.zoo.SIZES"
        )
    fields = {field.name for field in dataclasses.fields(module)} - {"classes", "parent", "name"}
    for size in sizes:
        if size not in fields:
            raise ValueError(f"build: {name} has no size {size!r}; {_nearest(size, fields)}")
    one = inputs if isinstance(inputs, jax.ShapeDtypeStruct) else jax.ShapeDtypeStruct(tuple(inputs), jnp.float32)
    if len(one.shape) != 3:
        raise ValueError(f"build: inputs have shape {list(one.shape)}, expected (height, width, channels)")
    names = tuple(str(c) for c in range(classes)) if isinstance(classes, int) else tuple(classes)
    network = module(classes=len(names), **{**named, **sizes})
    return trainable_from_flax(network, batched(one, 1), name=name, classes=names)


def _nearest(word: str, words) -> str:
    return f"{nearest(word, words)}There are {', '.join(sorted(words))}"
