"""The search space of the small presets: a generator and a discriminator of four layers each, pictures of 16x16.

Each of the eight layers chooses on its own (36 genes):

- kernel: 1, 3 or 5;
- width: half or all of the channels;
- activation: ReLU, leaky ReLU (0.2) or swish;
- skip: whether its inputs are added to its outputs;
- the generator's layers also normalisation: none or batch normalisation.

Fixed: the generator begins with a linear layer from the latents to maps of 4x4, enlarges before its first and third
layer to the nearest pixel, and ends with a convolution of 3 and tanh; the discriminator strides in its second and
fourth layer, sums over positions as AdversarialNAS does (arXiv 1912.02037), and is normalised spectrally throughout
(arXiv 1802.05957).
"""

import jax
import jax.numpy as jnp

from jaxevo import pbt

KERNELS = ("conv1", "conv3", "conv5")
ACTIVATIONS = ("relu", "leaky", "swish")
SKIPS = (False, True)

#: Height and width of the maps that the generator begins with.
BOTTOM = 4


def chains(channels: int = 1, width: int = 16, latents: int = 32) -> pbt.Architecture:
    """Makes the architecture.

    Args:
      channels: of the pictures, 16x16.
      width: of the widest layers, even.
      latents: numbers that the generator begins with.

    Returns:
      An architecture of a generator, which runs with averages of its parameters, and a discriminator.
    """
    widths = (width // 2, width)

    def generator_layer(name: str, enlarge: int = 1) -> pbt.Convolution:
        return pbt.Convolution(
            name, width, KERNELS, widths, ACTIVATIONS, ("none", "batch"), SKIPS, enlarge=enlarge
        )  # fmt: skip

    def discriminator_layer(name: str, reads: int, stride: int = 1) -> pbt.Convolution:
        return pbt.Convolution(name, reads, KERNELS, widths, ACTIVATIONS, skips=SKIPS, stride=stride, spectral=(True,))

    generator = pbt.in_a_row(
        [
            pbt.Dense("project", latents, (BOTTOM * BOTTOM * width,)),
            pbt.Plain("maps", lambda x: x.reshape(-1, BOTTOM, BOTTOM, width), lambda reads: reads[:width]),
            generator_layer("generator 1", enlarge=2),
            generator_layer("generator 2"),
            generator_layer("generator 3", enlarge=2),
            generator_layer("generator 4"),
            pbt.Convolution("picture", width, ("conv3",), (channels,), ("tanh",)),
        ]
    )
    discriminator = pbt.in_a_row(
        [
            discriminator_layer("discriminator 1", channels),
            discriminator_layer("discriminator 2", width, stride=2),
            discriminator_layer("discriminator 3", width),
            discriminator_layer("discriminator 4", width, stride=2),
            pbt.Plain("sum", lambda x: x.sum((1, 2))),
            pbt.Dense("score", width, (1,), bias=False, spectral=(True,)),
        ]
    )
    return pbt.Architecture(
        "chains", {"generator": generator, "discriminator": discriminator},
        jax.ShapeDtypeStruct((latents,), jnp.float32), ("generator",), averaged=("generator",), output="values",
    )  # fmt: skip
