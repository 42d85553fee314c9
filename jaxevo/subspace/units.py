"""What a mask takes or leaves as a whole: single weights, neurons (output channels), or layers.

N is the number of coordinates, U that of units, C the number of output channels of a layer.
"""

import math
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxevo.graph import NetworkGraph
from jaxevo.graph.program import Program
from jaxevo.subspace.choosing import Chosen

Granularity = Literal["weight", "neuron", "layer"]

GRANULARITIES = ("weight", "neuron", "layer")


class Units(NamedTuple):
    """The coordinates of each unit; units of one size follow each other, the smallest first.

    start: int32 [U], where a unit's coordinates begin in `coordinates`.
    size: int32 [U], how many it has.
    coordinates: int32 [N], unit after unit.
    """

    start: Any
    size: Any
    coordinates: Any


def units(graph: NetworkGraph, chosen: Chosen, granularity: Granularity) -> Units:
    """Groups coordinates into units.

    A neuron is an output channel of a layer: its column of the kernel, with its entries of the bias and of the
    normalisation after it. Of a leaf that no convolution or product reads, all axes together count as channels where
    they are as many as a kernel of its layer has, else the last one that is longer than one.

    Args:
      graph: the network.
      chosen: its mutated parameters.
      granularity: "neuron" or "layer".

    Returns:
      The units, numpy arrays.
    """
    names = _layer_of(chosen) if granularity == "layer" else _neuron_of(graph, chosen)
    _, owner, size = np.unique(names, return_inverse=True, return_counts=True)
    rank = np.argsort(size, kind="stable")
    place = np.empty_like(rank)
    place[rank] = np.arange(len(rank))
    coordinates = np.argsort(place[owner], kind="stable").astype(np.int32)
    size = size[rank].astype(np.int32)
    start = (np.cumsum(size) - size).astype(np.int32)
    return Units(start, size, coordinates)


def channel_axes(program: Program, leaf: int) -> tuple[int, ...] | None:
    """Returns the axes of a kernel that hold the output channels of the layer that reads it; None of other leaves."""
    axes, value = tuple(range(len(program.avals[leaf].shape))), leaf
    while readers := program.readers.get(value, ()):
        equation = program.equations[readers[0]]
        name, params = equation.primitive, equation.params
        if name == "conv_general_dilated" and equation.reads[1] == value:
            return (axes[params["dimension_numbers"].rhs_spec[0]],)
        if name == "dot_general":
            side = 1 if equation.reads[1] == value else 0
            summed = params["dimension_numbers"][0][side]
            return tuple(axis for i, axis in enumerate(axes) if i not in summed)
        if name == "transpose":
            axes = tuple(axes[i] for i in params["permutation"])
        elif name not in ("convert_element_type", "copy"):
            break
        value = equation.writes[0]
    return None


def _layer_of(chosen: Chosen) -> np.ndarray:
    """Names the unit of each coordinate, int [N]: its layer."""
    return np.repeat(chosen.layers, chosen.sizes)


def _neuron_of(graph: NetworkGraph, chosen: Chosen) -> np.ndarray:
    """Names the unit of each coordinate, int [N]: its layer, the number of channels C, and its channel."""
    names, known = [], {}
    of_kernels = [channel_axes(graph.program, leaf) for leaf in chosen.leaves]
    described = list(zip(of_kernels, chosen.layers, chosen.shapes, strict=True))
    channels_of = {(layer, math.prod(shape[axis] for axis in axes)) for axes, layer, shape in described if axes}
    for kernel, layer, shape in described:
        long = tuple(axis for axis, length in enumerate(shape) if length > 1) or tuple(range(len(shape)))[-1:]
        axes = kernel or (long if (layer, math.prod(shape)) in channels_of else long[-1:])
        widths = [shape[axis] for axis in axes]
        count = int(np.prod(widths))
        base = known.setdefault((layer, count), sum(c for _, c in known))
        channels = np.arange(count).reshape(widths)
        channels = channels.transpose(np.argsort(axes))
        wide = channels.reshape([n if axis in axes else 1 for axis, n in enumerate(shape)])
        names.append(np.broadcast_to(base + wide, shape).reshape(-1))
    return np.concatenate(names)
