"""What the values of a program are: which axis is the batch, which the channels, which are space.

The axes are read from the equations (dimension numbers of convolutions and products), never guessed from sizes, so
that channels-first and channels-last networks are told apart.
"""

import math
from typing import Literal, NamedTuple

from jaxevo.graph.grids import Grid, grids
from jaxevo.graph.program import Equation, Program

Kind = Literal["map", "tokens", "vector", "other"]


class Feature(NamedTuple):
    """What one value of a network is.

    shape: its shape without the batch axis.
    batch: index of the batch axis in the full shape, None where it has none or more than one axis grows with it.
    channel: index of the channel axis in the full shape, None where it is not known.
    kind: "map" (channels over two spatial axes), "tokens" (channels over one axis), "vector" or "other".
    grid: how the tokens lie in the picture, None where it is no sequence of tokens that came from a map.
    """

    shape: tuple[int, ...]
    batch: int | None
    channel: int | None
    kind: Kind
    grid: Grid | None = None

    @property
    def channels(self) -> int:
        """Number of channels."""
        if self.batch is None or self.channel is None:
            raise ValueError(f"a feature of kind {self.kind!r} and shape {self.shape} has no channel axis")
        return self.shape[self.channel - (self.channel > self.batch)]

    @property
    def space(self) -> tuple[int, ...]:
        """Sizes of the axes that are neither batch nor channels, in order."""
        if self.batch is None or self.channel is None:
            return self.shape
        position = self.channel - (self.channel > self.batch)
        return self.shape[:position] + self.shape[position + 1 :]

    def __str__(self):
        return f"{self.kind} [{', '.join(('B', *map(str, self.shape)))}]"


def features(program: Program, other: Program) -> tuple[Feature, ...]:
    """Describes every value of a program.

    Args:
      program: the network traced at one batch size.
      other: the same network traced at another batch size; an axis that differs is the batch.

    Returns:
      A `Feature` for each value, by number.
    """
    batches = [_batch_axis(a.shape, b.shape) for a, b in zip(program.avals, other.avals, strict=True)]
    channels: list[int | None] = [None] * len(program.avals)
    for value in program.inputs:
        # Pictures come channels-last unless a convolution says otherwise, which only matters before the first layer.
        channels[value] = len(program.avals[value].shape) - 1 or None
    for equation in program.equations:
        for result, value in enumerate(equation.writes):
            if value in program.dynamic:
                channels[value] = _channel(program, equation, result, channels, batches)
    known = grids(program, channels, batches)
    return tuple(
        _feature(aval.shape, batch, channel, grid)
        for aval, batch, channel, grid in zip(program.avals, batches, channels, known, strict=True)
    )


def _batch_axis(shape, other):
    axes = [i for i, (m, n) in enumerate(zip(shape, other, strict=True)) if m != n]
    return axes[0] if len(axes) == 1 else None


def _feature(shape, batch, channel, grid):
    rest = tuple(n for i, n in enumerate(shape) if i != batch)
    if batch is None or channel is None or channel == batch:
        return Feature(rest, batch, None, "other")
    kinds: dict[int, Kind] = {2: "vector", 3: "tokens", 4: "map"}
    return Feature(rest, batch, channel, kinds.get(len(shape), "other"), grid)


def _channel(program: Program, equation: Equation, result: int, channels, batches) -> int | None:
    """Returns the channel axis of a result, from the equation and the channel axes of what it reads."""
    shape = program.avals[equation.writes[result]].shape
    batch = batches[equation.writes[result]]
    if len(shape) == 2 and batch is not None:
        return 1 - batch
    name, params = equation.primitive, equation.params
    if name == "conv_general_dilated":
        return params["dimension_numbers"].out_spec[1]
    if name == "dot_general":
        return _product_channel(program, equation, shape)
    if name == "gather" and equation.reads[0] not in program.dynamic:
        return _entry_channel(equation)
    sources = [v for v in equation.reads if v is not None and v in program.dynamic and channels[v] is not None]
    if not sources:
        return None
    source = max(sources, key=lambda v: math.prod(program.avals[v].shape))
    channel, came = channels[source], program.avals[source].shape
    if name == "transpose":
        return params["permutation"].index(channel)
    if name in ("reshape", "squeeze") or (name.startswith(("reduce_", "arg")) and len(came) != len(shape)):
        return _moved(name, params, came, shape, channel)
    if name == "broadcast_in_dim":
        return params["broadcast_dimensions"][channel]
    return channel if len(came) == len(shape) else None


def _product_channel(program, equation, shape):
    """Channels of a product with parameters are the free axis of the parameters; a product of two features has none."""
    (left_sum, right_sum), (left_batch, right_batch) = equation.params["dimension_numbers"]
    left, right = equation.reads
    if left in program.dynamic and right in program.dynamic:
        return None
    if right in program.dynamic:
        free = len(program.avals[left].shape) - len(left_sum) - len(left_batch)
        return len(left_batch) if free == 1 else None
    free = len(program.avals[right].shape) - len(right_sum) - len(right_batch)
    return len(shape) - 1 if free == 1 else None


def _entry_channel(equation):
    """Channels of what is looked up in a table, such as embeddings, are the last axis of entries, where it is whole."""
    table, params = equation.source.invars[0].aval.shape, equation.params
    offsets, last = params["dimension_numbers"].offset_dims, len(table) - 1
    whole = last not in params["dimension_numbers"].collapsed_slice_dims and params["slice_sizes"][last] == table[last]
    return offsets[-1] if offsets and whole else None


def _moved(name, params, came, shape, channel):
    if name == "reshape":
        # The channels survive where they are the last axis before and after, or what stands before them stays.
        if channel == len(came) - 1 and came[-1] == shape[-1]:
            return len(shape) - 1
        return channel if came[: channel + 1] == shape[: channel + 1] else None
    gone = params["dimensions"] if name == "squeeze" else params["axes"]
    return None if channel in gone else channel - sum(axis < channel for axis in gone)
