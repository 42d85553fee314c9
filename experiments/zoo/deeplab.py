"""DeepLabV3: classes of pixels from dilated convolutions side by side (Chen et al., arXiv 1706.05587)."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from experiments.zoo.mobilenet import MobileNetV3
from experiments.zoo.parts import convolve, normalise
from experiments.zoo.resnet import ResNet
from experiments.zoo.vgg import VGG

#: Families that can end before their mean over space.
BACKBONES: dict[str, type[nn.Module]] = {"mobilenet_v3": MobileNetV3, "resnet": ResNet, "vgg": VGG}


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: a 1x1 convolution, dilated 3x3 ones and the mean, side by side.

    width, rates, dropout: as in `DeepLab`.
    """

    width: int
    rates: Sequence[int]
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Returns features [B, height, width, self.width] of such of any number of channels."""
        branches = [nn.relu(normalise(convolve(x, self.width, 1), train))]
        for rate in self.rates:
            branches.append(nn.relu(normalise(convolve(x, self.width, 3, dilation=rate), train)))
        mean = nn.relu(normalise(convolve(x.mean(axis=(1, 2), keepdims=True), self.width, 1), train))
        branches.append(jnp.broadcast_to(mean, branches[0].shape))
        y = nn.relu(normalise(convolve(jnp.concatenate(branches, axis=-1), self.width, 1), train))
        return nn.Dropout(self.dropout, deterministic=not train)(y)


class DeepLab(nn.Module):
    """Backbone, pyramid, 3x3 convolution, logits by a 1x1 one, bilinear upsampling to the size of the pictures.

    As torchvision has it, without the auxiliary head, which only training uses.

    classes: number of logits.
    backbone: family of the backbone, a key of `BACKBONES`.
    features: the backbone's sizes.
    width: channels of the head.
    rates: dilations of the pyramid's 3x3 convolutions.
    dropout: share of values dropped after the pyramid while training.
    """

    classes: int
    backbone: str = "resnet"
    features: Mapping[str, Any] = nn.FrozenDict()
    width: int = 32
    rates: Sequence[int] = (1, 2)
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Returns logits [B, height, width, classes] of pictures [B, height, width, channels]."""
        if self.backbone not in BACKBONES:
            raise ValueError(f"deeplab: backbone is {self.backbone!r}, expected one of {', '.join(BACKBONES)}")
        size = x.shape[1:3]
        x = BACKBONES[self.backbone](classes=0, **self.features)(x, train)
        x = Pyramid(self.width, self.rates, self.dropout)(x, train)
        x = nn.relu(normalise(convolve(x, self.width, 3), train))
        x = convolve(x, self.classes, 1, bias=True)
        return x if x.shape[1:3] == size else jax.image.resize(x, (x.shape[0], *size, x.shape[-1]), "linear")
