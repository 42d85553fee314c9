"""The published search space of PBT-NAS for pictures: generators and discriminators of AdvNAS cells, 72 genes.

Sources: Chebykin et al. 2023 (arXiv 2307.15621) and the code published with it (AwesomeLemon/PBT-NAS: search_space/
advnas_ss.py, models/gan/advnas.py and advnas_blocks.py, configs/main/c10_pbtnas.yml and stl_pbtnas.yml), which follows
AdversarialNAS (Gao et al., arXiv 1912.02037). Genes and their options come in the order of the published code, so that
its genomes can be read here. Each gene is a layer, one unit of exchange, those without weights too. What has no gene
(skips between cells, the convolution to pictures, the score) is never exchanged, as published.

The generator, of n cells that double the size (published: 3); everything gives `width` channels:

- projection i of n, from the latents to the inputs of cell i. `enabled`: no, yes (the first one always is). `linear`:
  reads the whole of the latents or the i-th of n parts, and gives a map of the side of the bottom, of the cell before,
  or of the target, the cell's own inputs; for the first one "prev" is half of the bottom. `up`: enlarged to the target
  to the nearest pixel or bilinearly. `dropout`: 0, 0.1 or 0.2.
- cell: nodes 0 and 1 are the inputs after `up0` and `up1`: to the nearest pixel or bilinearly, then ReLU and a 1x1
  convolution; or ReLU, a transposed convolution of 3 for each channel and a 1x1 convolution without bias. Node 2 is
  c0 of node 0 plus c1 of node 1, the sum of both nodes where both operations are none; the outputs are c2 of node 0,
  c3 of node 1 and c4 of node 2, summed, or node 2 where all three are none. `c0` to `c4`: none, skip, ReLU and a
  convolution of 1, 3, 5, 3 dilated or 5 dilated (by 2), without normalisation.
- skips between cells: to node 2 the node 2 of each earlier cell is added after a 1x1 convolution, enlarged to the
  nearest pixel, in every second cell bilinearly. In the published code node 2 goes on to later cells with what was
  added to it, since it adds in place; so it does here.
- at the end batch normalisation, ReLU, a convolution of 3 and tanh.

The discriminator, of blocks (published: 4), with spectral normalisation of every kernel (arXiv 1802.05957):

- block: nodes 0, 1 and 2 are the inputs after `c0`, `c1` and `c2`; `c3` of node 0 is added to node 1, `c4` of node 0
  to node 2; then `c5` changes node 1 and `c6` node 2, or nothing does where it is none. Operations are those of the
  generator's cells; the first three of the first block, which see the picture, are the five convolutions without ReLU.
  `downsample`: whether nodes 1 and 2 are halved, by `down0` and `down1`: means or largest values of both summands
  before they are added, or of the node at its end; or ReLU and a convolution of stride 2 at its end, of 3, 5, 3 dilated
  or 5 dilated. The outputs are the sum of nodes 1 and 2, the one that there is where an operation is none, else node 0,
  else the inputs.
- at the end ReLU, the sum over positions, and a linear layer without bias.

In the published code the sum of nodes 1 and 2 is overwritten by node 1 in the line that follows it, so that c2, c4, c6
and down1 do nothing wherever there is a node 1. Here it is the sum, as in the published code of AdversarialNAS.

Constants as published: width 256 (`gf_dim`; STL-10: 270), discriminator 128 (`df_dim`), bottom 4 for 32x32 (CIFAR-10)
and 6 for 48x48 (STL-10), 120 latents, ReLU. Kernels of convolutions begin after Glorot and Bengio, those of linear
layers and transposed convolutions as PyTorch has them, scales of the normalisation from N(1, 0.02); the score, which
PyTorch draws otherwise, after Glorot and Bengio here, which its spectral normalisation undoes. Biases begin at zero
here, not with PyTorch's draws. 1x1 convolutions of skips run before their maps are enlarged, which gives the same.

Layers of the generator work at as many positions whatever is chosen, a projection's linear layer at one, so that
`Space.cost` counts its multiply-adds, with the biases of projections; it counts a projection that is not enabled too,
whose weights it keeps, and a transposed convolution at each position of its outputs. In the discriminator, which it
leaves out, positions depend on what is downsampled.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.pbt_gan.choosing import either, present
from experiments.pbt_gan.discriminator_cells import discriminator
from experiments.pbt_gan.operations import LINEARS, Dropout, Enlargement, Normalisation, Projection, Setting
from experiments.pbt_gan.resampling import grown
from jaxevo.pbt import OPERATIONS, Architecture, Call, Convolution, Part
from jaxevo.pbt.layer import Choices

#: Probabilities of dropout after a projection.
DROPOUTS = (0.0, 0.1, 0.2)

#: Blocks of the discriminator.
BLOCKS = 4


def cells(
    size: int = 32,
    channels: int = 3,
    width: int = 256,
    discriminator_width: int = 128,
    bottom: int = 4,
    latents: int = 120,
    projections: bool = True,
    blocks: int = BLOCKS,
) -> Architecture:
    """Makes the architecture.

    Args:
      size: height and width of the pictures: `bottom` doubled by each of n >= 1 cells, and a multiple of 2 ** blocks.
      channels: of the pictures.
      width: channels of the generator.
      discriminator_width: channels of the discriminator.
      bottom: height and width of the maps that the generator begins with, even.
      latents: numbers that the generator begins with, at least n.
      projections: whether projections are searched; else each reads its part of the latents and gives its target,
        without dropout.
      blocks: of the discriminator.

    Returns:
      An architecture of a generator, which runs with averages of its parameters, and a discriminator.

    Raises:
      ValueError: where an argument is not as above.
    """
    numbers = {
        "size": size, "channels": channels, "width": width, "discriminator_width": discriminator_width,
        "bottom": bottom, "latents": latents, "blocks": blocks,
    }  # fmt: skip
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"cells: {name} is {number!r}, expected a whole number of at least 1")
    count = (size // bottom).bit_length() - 1
    if bottom % 2 or count < 1 or size != bottom * 2**count:
        raise ValueError(
            f"cells: size is {size} and bottom {bottom}, expected an even bottom that doubles to size, such as "
            "bottom=4 for size=32"
        )
    if size % 2**blocks:
        raise ValueError(
            f"cells: size is {size}, which {blocks} blocks cannot halve, expected a multiple of {2**blocks}; "
            "choose fewer blocks"
        )
    if latents < count:
        raise ValueError(f"cells: latents is {latents}, expected at least {count}, one for each projection")
    return Architecture(
        "advnas cells",
        {
            "generator": _generator(count, channels, width, bottom, latents, projections),
            "discriminator": discriminator(channels, discriminator_width, blocks),
        },
        jax.ShapeDtypeStruct((latents,), jnp.float32), ("generator",), averaged=("generator",), output="values",
    )  # fmt: skip


def _generator(count: int, channels: int, width: int, bottom: int, latents: int, projections: bool) -> Part:
    linears = [_projection(place, count, latents, bottom, width, projections) for place in range(count)]
    layers = []
    for place, linear in enumerate(linears):
        name = _projects(place)
        layers += [] if place == 0 else [Setting(f"{name} enabled", (False, True) if projections else (True,))]
        layers += [linear, Setting(f"{name} up", ("nearest", "bilinear") if projections else ("nearest",))]
        layers.append(Dropout(f"{name} dropout", DROPOUTS if projections else (0.0,)))
    for place in range(count):
        layers += [Enlargement(_of_cell(place, up), width) for up in ("up0", "up1")]
        layers += [
            Convolution(_of_cell(place, f"c{index}"), width, tuple(OPERATIONS), (width,), ("relu",), before=True)
            for index in range(5)
        ]
    layers += [
        Convolution(_skip(place, earlier), width, ("conv1",), (width,), ("identity",))
        for place in range(count)
        for earlier in range(place)
    ]
    layers.append(Normalisation("picture normalisation", width))
    layers.append(Convolution("picture", width, ("conv3",), (channels,), ("tanh",)))

    def wire(call: Call, inputs: jax.Array) -> jax.Array:
        features, nodes = _projected(call, linears[0], 0, inputs), []
        for place in range(count):
            if place:
                adds = functools.partial(_sum, call, linears[place], place, features, inputs)
                ways = {False: lambda features=features: features, True: adds}
                enabled = call.choice(f"{_projects(place)} enabled", "setting")
                features = enabled.pick({option: ways[option] for option in enabled.options})
            features, node = _cell(call, place, features, nodes)
            nodes.append(node)
        return call("picture", jax.nn.relu(call("picture normalisation", features)))

    return Part(tuple(layers), wire, canonical=functools.partial(_canonical, linears))


def _projection(place: int, count: int, latents: int, bottom: int, width: int, searched: bool) -> Projection:
    share, target = latents // count, bottom * 2**place
    options = LINEARS if searched else (("part", "target"),)
    part, sides = (place * share, (place + 1) * share), (bottom, target // 2, target)
    return Projection(f"{_projects(place)} linear", latents, part, sides, width, options)


def _projects(place: int) -> str:
    return f"projection {place + 1}"


def _of_cell(place: int, name: str) -> str:
    return f"cell {place + 1} {name}"


def _skip(place: int, earlier: int) -> str:
    return _of_cell(place, f"skip from {earlier + 1}")


def _sum(call: Call, linear: Projection, place: int, features: jax.Array, latents: jax.Array) -> jax.Array:
    return features + _projected(call, linear, place, latents)


def _projected(call: Call, linear: Projection, place: int, latents: jax.Array) -> jax.Array:
    """Returns the map that a projection gives to its cell."""
    choice, mode = call.choice(linear.name, "linear"), call.choice(f"{_projects(place)} up", "setting")
    maps = linear.maps(choice, call(linear.name, latents))

    def at(side: int) -> jax.Array:
        corner, times = maps[:, :side, :side], linear.sides[-1] // side
        if times == 1:
            return corner
        return mode.pick({name: functools.partial(grown, corner, times, name) for name in mode.options})

    ways = {side: functools.partial(at, side) for side in linear.sides}
    return call(
        f"{_projects(place)} dropout", choice.pick({option: ways[linear.side(option)] for option in linear.options})
    )


def _cell(call: Call, place: int, inputs: jax.Array, nodes: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """Runs a cell; returns its outputs, and its node 2 for the cells after it."""

    def run(index: int, features: jax.Array) -> jax.Array:
        return call(_of_cell(place, f"c{index}"), features)

    there = [present(call.choice(_of_cell(place, f"c{index}"), "operation")) for index in range(5)]
    one, other = (call(_of_cell(place, up), inputs) for up in ("up0", "up1"))
    node = either(there[0] | there[1], run(0, one) + run(1, other), one + other)
    for earlier, feature in enumerate(nodes):
        mode = "bilinear" if place % 2 else "nearest"
        node = node + grown(call(_skip(place, earlier), feature), node.shape[1] // feature.shape[1], mode)
    outputs = run(2, one) + run(3, other) + run(4, node)
    return either(there[2] | there[3] | there[4], outputs, node), node


def _canonical(linears: Sequence[Projection], choices: Mapping[str, Choices]) -> dict[str, dict[str, Any]]:
    """Leaves open nothing that follows a projection that is not enabled, nor how one is enlarged that has its size."""
    found: dict[str, dict[str, Any]] = {}
    for place, linear in enumerate(linears):
        name, enabled = _projects(place), np.True_
        if place:
            setting = choices[f"{name} enabled"]["setting"]
            enabled = setting.number(list(setting.options))
        grows = choices[linear.name]["linear"].number(
            [linear.side(option) < linear.sides[-1] for option in linear.options]
        )
        for after, used in (("up", enabled & grows), ("dropout", enabled)):
            found[f"{name} {after}"] = {"setting": jnp.where(used, choices[f"{name} {after}"]["setting"].index, 0)}
    return found
