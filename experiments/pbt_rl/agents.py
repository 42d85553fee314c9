"""The search space of agents: encoder, actor and critic, whose layers make choices, and the space of all of them.

As in the code published with arXiv 2307.15621 (its search space "rl_normact"): an encoder of a first convolution and
`blocks` that choose their kind; an actor and two critics, each of a trunk that chooses its number of features (25, 50,
100 or 150), a first layer and `blocks` that choose their kind; an activation (identity, tanh, ReLU or swish) for every
layer but the heads; spectral normalisation or none for every layer but trunks and heads. The published default of that
is one choice of normalisation for each network; here, as its option "per_layer" has it, each layer has its own, since
layers are taken over whole. Published widths: 32 channels, 1,024 hidden units, three blocks in each network.
S is the side of a frame, F frames of C channels make an observation, A is the number of entries of an action.
"""

import dataclasses
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.pbt_rl.environments import Environment
from experiments.pbt_rl.layers import LINEAR, Block, Maps, flat
from jaxevo import pbt
from jaxevo.pbt import Architecture, Call, Part

PyTree = Any

#: Choices of every agent, from the published code.
ACTIVATIONS = ("identity", "tanh", "relu", "swish")
FEATURES = (25, 50, 100, 150)
SPECTRAL = (False, True)
MAPS = ("id", *(f"{family}_{side}" for family in ("conv", "residual", "sep_conv") for side in (3, 5, 7)))

#: What DrQ-v2's own agent has chosen, as far as the choices allow (arXiv 2107.09645).
PLAIN = {"kind": ("conv_3", "linear"), "activation": ("relu",), "spectral": (False,), "width": (50,)}


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How large agents are, and what they choose from.

    channels: of the encoder.
    hidden: units of the actor's and the critics' layers.
    blocks: layers that choose their kind in the encoder, the actor and each critic.
    stem: sides of the kernel and strides of the convolutions that the encoder begins with.
    maps, linear: kinds to choose from.
    features: numbers of features to choose from.
    """

    channels: int = 32
    hidden: int = 1024
    blocks: int = 3
    stem: tuple[tuple[int, int], ...] = ((3, 2),)
    maps: tuple[str, ...] = MAPS
    linear: tuple[str, ...] = tuple(LINEAR)
    features: tuple[int, ...] = FEATURES


def agent(environment: Environment, sizes: Sizes) -> Architecture:
    """Makes the architecture of all agents for an environment.

    The network is encoder and actor, from observations in [0, 1], of which it subtracts 0.5 as published, to actions in
    [-1, 1]. State has an average of the critic's parameters, the target: mixing takes it over unperturbed.

    Args:
      environment: what they see and do.
      sizes: how large they are.
    """
    side, _, colors = environment.frame
    seen = channels = colors * environment.stack
    encoder: list[Any] = [pbt.Plain("centre", lambda pixels: pixels - 0.5, lambda _: np.ones(seen, bool))]
    for index, (kernel, stride) in enumerate(sizes.stem):
        kinds = (f"conv_{kernel}",)
        encoder.append(
            Maps(f"stem{index}", channels, sizes.channels, kinds, ACTIVATIONS, SPECTRAL, stride=stride)
        )  # fmt: skip
        channels, side = sizes.channels, (side - kernel) // stride + 1
    encoder += [
        Maps(f"map{index}", channels, channels, sizes.maps, ACTIVATIONS, SPECTRAL) for index in range(sizes.blocks)
    ]
    encoder.append(flat("flat", side * side))
    length = side * side * channels
    actor = [_trunk("actor_trunk", length, sizes), *_tower("actor", 0, environment.actions, sizes)]
    actor.append(pbt.Plain("bounded", jnp.tanh))
    trunk = _trunk("critic_trunk", length, sizes)
    towers = [_tower(name, environment.actions, 1, sizes) for name in ("q1", "q2")]

    def values(call: Call, inputs: Any) -> jax.Array:
        features, actions = inputs
        begun = jnp.concatenate([call("critic_trunk", features), actions], axis=-1)
        found = []
        for tower in towers:
            through = begun
            for layer in tower:
                through = call(layer.name, through)
            found.append(through[..., 0])
        return jnp.stack(found)

    reads = {tower[0].name: "critic_trunk" for tower in towers}
    reads |= {layer.name: before.name for tower in towers for before, layer in itertools.pairwise(tower)}
    shape = (*environment.frame[:2], seen)
    parts = {
        "encoder": pbt.in_a_row(encoder),
        "actor": pbt.in_a_row(actor),
        "critic": Part((trunk, *towers[0], *towers[1]), values, reads),
    }
    return Architecture(
        "agent", parts, jax.ShapeDtypeStruct(shape, jnp.float32), ("encoder", "actor"), ("critic",), output="values"
    )  # fmt: skip


def _trunk(name: str, length: int, sizes: Sizes) -> pbt.Dense:
    return pbt.Dense(name, length, sizes.features, ACTIVATIONS, ("layer",))


def _tower(name: str, beside: int, gives: int, sizes: Sizes) -> list[Any]:
    blocks = [
        Block(f"{name}_block{index}", sizes.hidden, sizes.linear, ACTIVATIONS, SPECTRAL)
        for index in range(sizes.blocks)
    ]
    first = pbt.Dense(
        f"{name}_first", max(sizes.features), (sizes.hidden,), ACTIVATIONS, spectral=SPECTRAL, beside=beside
    )  # fmt: skip
    return [first, *blocks, pbt.Dense(f"{name}_head", sizes.hidden, (gives,))]


def plain(architecture: Architecture) -> np.ndarray:
    """Returns the genome of DrQ-v2's own agent, int32 [G], the first option where the choices have none of its."""
    found = []
    for gene in architecture.genes:
        wanted = PLAIN[gene.name.rpartition(".")[2]]
        if gene.name.endswith("_trunk.activation"):
            wanted = ("tanh",)
        found.append(next((index for index, option in enumerate(gene.options) if option in wanted), 0))
    return np.asarray(found, np.int32)
