"""The table of the zoo's families and `build`, which makes one of them by name."""

import dataclasses
import difflib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from experiments.zoo.convnext import ConvNeXt
from experiments.zoo.mobilenet import MobileNet
from experiments.zoo.resnet import ResNet
from experiments.zoo.vgg import VGG
from experiments.zoo.vit import ViT
from jaxevo.interop.flax import trainable_from_flax
from jaxevo.network import Trainable, batched

FAMILIES: dict[str, type[nn.Module]] = {
    "convnext": ConvNeXt,
    "mobilenet": MobileNet,
    "resnet": ResNet,
    "vgg": VGG,
    "vit": ViT,
}


def build(
    name: str, inputs: jax.ShapeDtypeStruct | Sequence[int], classes: int | Sequence[str], **sizes: Any
) -> Trainable:
    """Builds one network of the zoo.

    Args:
      name: its family, a key of `FAMILIES`.
      inputs: one picture, (height, width, channels) or the `ShapeDtypeStruct` of one.
      classes: names of the classes, or how many there are.
      **sizes: fields of the family's module, such as `widths=(16, 32)`.

    Returns:
      The trainable network.

    Raises:
      ValueError: where the family, a size or the shape is not known to work.
    """
    if name not in FAMILIES:
        raise ValueError(f"build: name is {name!r}; {_nearest(name, FAMILIES)}")
    module = FAMILIES[name]
    fields = {field.name for field in dataclasses.fields(module)} - {"classes", "parent", "name"}
    for size in sizes:
        if size not in fields:
            raise ValueError(f"build: {name} has no size {size!r}; {_nearest(size, fields)}")
    one = inputs if isinstance(inputs, jax.ShapeDtypeStruct) else jax.ShapeDtypeStruct(tuple(inputs), jnp.float32)
    if len(one.shape) != 3:
        raise ValueError(f"build: inputs have shape {list(one.shape)}, expected (height, width, channels)")
    names = tuple(str(c) for c in range(classes)) if isinstance(classes, int) else tuple(classes)
    return trainable_from_flax(module(classes=len(names), **sizes), batched(one, 1), name=name, classes=names)


def _nearest(word: str, words) -> str:
    nearest = difflib.get_close_matches(word, words, n=1)
    guess = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"{guess}There are {', '.join(sorted(words))}"
