"""Segmenters: as many parameters as published, logits for every pixel, and enough features in common to be stitched."""

import jax
import numpy as np
import pytest

import jaxevo
from experiments import zoo
from jaxevo import stitching

#: torchvision's counts with the auxiliary head, less that head: a 3x3 convolution to a quarter of the channels,
#: a normalisation, and a 1x1 convolution to 21 classes.
COUNTS = {
    "deeplabv3_resnet50": 42_004_074 - (1024 * 256 * 9 + 2 * 256 + 256 * 21 + 21),
    "deeplabv3_mobilenet_v3_large": 11_029_328 - (40 * 10 * 9 + 2 * 10 + 10 * 21 + 21),
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_as_many_as_published(name):
    trainable = zoo.build(name, None, 21)
    params, _ = jax.eval_shape(trainable.init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == COUNTS[name]


@pytest.mark.parametrize("side", [8, 28])
def test_small_segmenters_give_logits_for_every_pixel_and_can_be_joined(side):
    networks = [
        zoo.random_network(jax.random.key(i), f"deeplab_{n}_{side}px", classes=11)
        for i, n in enumerate(("vgg", "resnet"))
    ]
    graphs = [jaxevo.trace(network) for network in networks]
    assert len(stitching.match(*graphs).pairs) >= 3
    outputs = networks[0](np.zeros((2, side, side, 1), np.float32))
    assert outputs.shape == (2, side, side, 11)
