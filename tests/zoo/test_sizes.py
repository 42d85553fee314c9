"""Named sizes are the published networks; only shapes are computed, no weights."""

import math

import jax
import pytest

from experiments import zoo
from jaxevo import trace

#: Learned parameters for 1000 classes: torchvision's documentation; timm's for the tiny and the small ViT.
PARAMETERS = {
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnext50": 25_028_904,
    "densenet121": 7_978_856,
    "densenet161": 28_681_000,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "mobilenet_v3_small": 2_542_856,
    "mobilenet_v3_large": 5_483_032,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "efficientnet_b4": 19_341_616,
    "convnext_tiny": 28_589_128,
    "convnext_small": 50_223_688,
    "convnext_base": 88_591_464,
    "vit_tiny_16": 5_717_416,
    "vit_small_16": 22_050_664,
    "vit_base_16": 86_567_656,
    "vit_base_32": 88_224_232,
}

#: Multiply-adds in millions at the published size of the pictures, as torchvision's documentation rounds them.
MULTIPLY_ADDS = {
    "vgg16": 15_470,
    "resnet18": 1_810,
    "resnet50": 4_090,
    "resnet152": 11_510,
    "resnext50": 4_230,
    "densenet121": 2_830,
    "mobilenet_v3_small": 60,
    "mobilenet_v3_large": 220,
    "efficientnet_b0": 390,
    "efficientnet_b4": 4_390,
    "convnext_tiny": 4_460,
    "vit_base_16": 17_560,
}

#: Features through which everything flows: stem, pools, residual sums, concatenations, the layers between blocks.
CUTS = {
    "vgg16": 22,
    "resnet50": 20,
    "resnet152": 54,
    "resnext50": 20,
    "densenet121": 68,
    "mobilenet_v3_large": 33,
    "efficientnet_b4": 56,
    "convnext_tiny": 24,
    "vit_base_16": 30,
}


#: Sizes whose shapes take long, between or beyond others of the same table.
LONG = {"densenet161", "densenet169", "densenet201", "efficientnet_b1", "efficientnet_b3", "convnext_base", "resnet101"}


# Those that are traced below are counted there.
@pytest.mark.parametrize("name", sorted(PARAMETERS.keys() - MULTIPLY_ADDS.keys() - LONG))
def test_parameters_are_as_many_as_published(name):
    trainable = zoo.build(name, None, 1000)
    params, _ = jax.eval_shape(trainable.init, jax.random.key(0))
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)) == PARAMETERS[name]


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_multiply_adds_and_cuts_of_the_traced_graph_are_as_expected(name):
    network = zoo.abstract_network(name)
    learned = jax.tree.leaves(network.params["params"])
    assert sum(math.prod(leaf.shape) for leaf in learned) == PARAMETERS[name]
    graph = trace(network)
    assert round(graph.multiply_adds / 1e7) * 10 == MULTIPLY_ADDS[name]
    assert len(graph.cuts) == CUTS.get(name, len(graph.cuts))
    for equation in graph.program.equations:
        # Frameworks pad strided convolutions alike at both ends, where XLA's "SAME" would not.
        if equation.primitive == "conv_general_dilated" and max(equation.params["window_strides"]) > 1:
            assert all(before == after for before, after in equation.params["padding"])


@pytest.mark.smoke
def test_a_named_size_takes_other_pictures_classes_and_sizes():
    assert zoo.SIZES["efficientnet_b4"].inputs == (380, 380, 3)
    trainable = zoo.build("resnet50", (64, 48, 3), ("cat", "dog"), depths=(1, 1, 1, 1))
    assert (trainable.inputs.shape, trainable.classes, trainable.name) == ((64, 48, 3), ("cat", "dog"), "resnet50")
    params, _ = jax.eval_shape(trainable.init, jax.random.key(0))
    assert len([name for name in params if name.startswith("BottleneckBlock")]) == 4
