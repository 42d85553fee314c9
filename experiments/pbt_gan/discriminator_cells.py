"""The discriminator of the AdvNAS cells; what is chosen, and the sources, are in `experiments.pbt_gan.cells`.

Maps shrink where a block chooses so. Where choices are data, all maps keep the largest size: what is used of one is its
top left corner, and the rest is zero, so that convolutions find there what they are padded with at the end of a map.
B is the batch size, H and W are height and width, C channels.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.pbt_gan.choosing import either, present
from experiments.pbt_gan.operations import HALVINGS, Halving, Setting
from experiments.pbt_gan.resampling import largest, means
from jaxevo.pbt import OPERATIONS, Call, Choice, Convolution, Dense, Part
from jaxevo.pbt.layer import Choices

#: A block's branches from its inputs to its outputs: the operation at its beginning, the one that adds the first node,
#: the one at its end, and what halves it.
BRANCHES = (("c1", "c3", "c5", "down0"), ("c2", "c4", "c6", "down1"))

#: Operations on pictures: those with weights.
ON_PICTURES = ("conv1", "conv3", "conv5", "dilated3", "dilated5")


class Map(NamedTuple):
    """A map of which a corner is used.

    values: [B, H, W, C], zero outside of the corner.
    side: of the corner, may be data; None where it is all of the map.
    """

    values: jax.Array
    side: Any

    def through(self, function: Callable[[jax.Array], jax.Array]) -> "Map":
        """Returns what a function of values makes that leaves their size as it is."""
        return _cleared(function(self.values), self.side)

    def halved(self, function: Callable[[jax.Array], jax.Array]) -> "Map":
        """Returns what a function of values makes that halves their size."""
        values = function(self.values)
        if self.side is None:
            return Map(values, None)
        rows, columns = (whole - half for whole, half in zip(self.values.shape[1:3], values.shape[1:3], strict=True))
        return _cleared(jnp.pad(values, ((0, 0), (0, rows), (0, columns), (0, 0))), self.side // 2)

    def __add__(self, other: "Map") -> "Map":  # pyright: ignore[reportIncompatibleMethodOverride]
        """Returns the sum of two maps of one size."""
        return Map(self.values + other.values, self.side)


def discriminator(channels: int, width: int, blocks: int) -> Part:
    """Makes the part that scores pictures [B, H, W, channels], scores [B, 1].

    Args:
      channels: of the pictures.
      width: C.
      blocks: how many.
    """
    layers = []
    for place in range(blocks):
        for index in range(7):
            on_pictures = place == 0 and index < 3
            layers.append(
                Convolution(
                    f"block {place + 1} c{index}",
                    channels if on_pictures else width,
                    ON_PICTURES if on_pictures else tuple(OPERATIONS),
                    (width,),
                    ("identity" if on_pictures else "relu",),
                    before=True,
                    spectral=(True,),
                )
            )
        layers.append(Setting(f"block {place + 1} downsample", (False, True)))
        layers += [Halving(f"block {place + 1} {name}", width) for name in ("down0", "down1")]
    layers.append(Dense("score", width, (1,), bias=False, spectral=(True,)))

    def wire(call: Call, inputs: jax.Array) -> jax.Array:
        fixed = call.choice("block 1 downsample", "setting").fixed
        features = Map(inputs, None if fixed else inputs.shape[1])
        for place in range(blocks):
            features = _block(call, f"block {place + 1}", features)
        return call("score", jax.nn.relu(features.values).sum((1, 2)))

    return Part(tuple(layers), wire, canonical=functools.partial(_canonical, blocks))


def _block(call: Call, place: str, inputs: Map) -> Map:
    """Runs a block; every layer runs, used or not, so that statistics move alike in both ways of running a member."""
    there = {f"c{index}": present(call.choice(f"{place} c{index}", "operation")) for index in range(7)}
    halves = call.choice(f"{place} downsample", "setting").number([False, True])

    def run(name: str, features: Map) -> Map:
        return features.through(functools.partial(call, f"{place} {name}"))

    start = run("c0", inputs)
    branches = []
    for first, added, last, down in BRANCHES:
        kind = call.choice(f"{place} {down}", "kind")
        early = halves & kind.number([name.endswith("of inputs") for name in HALVINGS])
        late = halves & kind.number([not name.endswith("of inputs") for name in HALVINGS])
        node, addend = (_pooled(early, kind, features) for features in (run(first, inputs), run(added, start)))
        node = either(there["c0"] & there[added], node + addend, node)
        node = either(there[last], run(last, node), node)
        branches.append(either(late, node.halved(functools.partial(call, f"{place} {down}")), node))
    one, other = branches
    without_one = either(there["c2"], other, either(there["c0"], start, inputs))
    return either(there["c1"], either(there["c2"], one + other, one), without_one)


def _canonical(blocks: int, choices: Mapping[str, Choices]) -> dict[str, dict[str, Any]]:
    """Returns the plainest choice with the same arrays for what no block uses."""
    operations = [OPERATIONS[name][0] for name in OPERATIONS]
    halvings = [OPERATIONS.get(name, (0, 1))[0] for name in HALVINGS]
    found: dict[str, dict[str, Any]] = {}
    for place in (f"block {place + 1}" for place in range(blocks)):
        there = {f"c{index}": present(choices[f"{place} c{index}"]["operation"]) for index in range(3)}
        downsample = choices[f"{place} downsample"]["setting"]
        halves = downsample.number([False, True])

        def plain(used: Any, name: str, gene: str, sides: list[int], place: str = place) -> None:
            choice = choices[f"{place} {name}"][gene]
            plainest = choice.number([sides.index(side) for side in sides])
            found[f"{place} {name}"] = {gene: jnp.where(used, choice.index, plainest)}

        for first, added, last, down in BRANCHES:
            plain(there["c0"] & there[first], added, "operation", operations)
            plain(there[first], last, "operation", operations)
            plain(there[first] & halves, down, "kind", halvings)
        ends = there["c1"] | there["c2"]
        found[f"{place} downsample"] = {"setting": jnp.where(ends, downsample.index, 0)}
    return found


def _cleared(values: jax.Array, side: Any) -> Map:
    if side is None:
        return Map(values, None)
    rows, columns = (jnp.arange(length) < side for length in values.shape[1:3])
    return Map(jnp.where(rows[:, None, None] & columns[:, None], values, 0), side)


def _pooled(flag: Any, kind: Choice, features: Map) -> Map:
    """Returns the map at half its size where the flag is set, by means or by largest values."""

    def pool(values: jax.Array) -> jax.Array:
        def by_means() -> jax.Array:
            return means(values)

        def by_largest() -> jax.Array:
            return largest(values)

        return kind.pick({name: by_largest if "max" in name else by_means for name in HALVINGS})

    return either(flag, features.halved(pool), features)
