"""A network as a sequence of blocks of layers, read from its graph.

A layer here is a kernel with the parameters that go with it. The layers of the main path, in the order in which
features flow, are cut into blocks wherever the resolution changes, and before and behind every residual sum that
everything flows through (a dominator of the graph). No names of modules are needed.
"""

import bisect
import dataclasses
import math

import numpy as np

from jaxevo.graph.tracing import NetworkGraph, check_graph
from jaxevo.transfer.layers.companions import Companion, companions
from jaxevo.transfer.layers.kernels import Kernel, Role, kernels
from jaxevo.transfer.layers.paths import roles

#: Index of the first layer of each block, and the number of layers.
Bounds = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Unit:
    """A kernel with the parameters that go with it.

    name: that of its layer in the graph; of one part of several, with the part's index.
    kernel: the kernel.
    role: "main", "gate" or "side".
    octave: how many times the picture was halved before, a whole number; None where no space is left.
    side: the logarithm to base two, rounded, of the side of its features; 0 where no space is left.
    block: index of its block.
    companions: the parameters that go with it.
    """

    name: str
    kernel: Kernel
    role: Role
    octave: int | None
    side: int
    block: int
    companions: tuple[Companion, ...]


@dataclasses.dataclass(frozen=True)
class Blocks:
    """A network's layers in blocks.

    graph: the network.
    main: the layers of the main path, in order.
    bounds: index of the first layer of each block in `main`, and the number of layers.
    others: layers beside the main path, in order.
    """

    graph: NetworkGraph
    main: tuple[Unit, ...]
    bounds: Bounds
    others: tuple[Unit, ...]


def blocks(graph: NetworkGraph) -> Blocks:
    """Reads a network's blocks.

    Args:
      graph: the network.

    Returns:
      Its layers in blocks.

    Raises:
      TypeError: where it is no `NetworkGraph`.
    """
    check_graph("blocks", "graph", graph)
    found = kernels(graph)
    kinds = roles(graph.program, found)
    going = companions(graph, found, tuple(kind == "main" for kind in kinds))
    homes = {index: i for i, layer in enumerate(graph.layers) for index in layer.equations}
    places = _places(graph, found)
    starts = _boundaries(graph)
    main = [i for i, kind in enumerate(kinds) if kind == "main"]
    numbers = _numbers([(places[i][0], bisect.bisect_left(starts, homes[found[i].equation])) for i in main])
    block_of = dict(zip(main, numbers, strict=True))
    for i, kind in enumerate(kinds):
        if kind != "main":
            block_of[i] = _block_beside(starts, homes, found, main, block_of, i)

    def unit(i: int) -> Unit:
        name, (part, parts) = graph.layers[homes[found[i].equation]].name, found[i].part
        name = f"{name}[{part}]" if parts > 1 else name
        return Unit(name, found[i], kinds[i], *places[i], block_of[i], tuple(going[i]))

    bounds = (*(numbers.index(n) for n in range(max(numbers, default=-1) + 1)), len(main))
    others = tuple(unit(i) for i, kind in enumerate(kinds) if kind != "main")
    return Blocks(graph, tuple(unit(i) for i in main), bounds, others)


def table(units: tuple[Unit, ...], others: tuple[Unit, ...]) -> np.ndarray:
    """Returns what each pair of layers is worth, in [0, 1].

    That is the product of the smaller over the larger length of each axis (outputs, inputs, space), halved for each
    octave by which the resolutions differ. Where one has no space left, its features count as one pixel.

    Args:
      units, others: layers of two networks, S and T of them.

    Returns:
      The table [S, T].
    """
    shapes = [np.log([unit.kernel.shape for unit in side] or np.ones((0, 5))) for side in (units, others)]
    ratios = np.exp(-np.abs(shapes[0][:, None] - shapes[1][None]).sum(axis=-1))
    return ratios * 0.5 ** _octaves(units, others)


def _octaves(units, others) -> np.ndarray:
    """Returns by how many octaves the resolutions of each pair differ, [S, T]."""
    pooled = [np.array([unit.octave is None for unit in row], bool) for row in (units, others)]
    octave = [np.array([unit.octave or 0 for unit in row], int) for row in (units, others)]
    side = [np.array([unit.side for unit in row], int) for row in (units, others)]
    apart, sides = (np.abs(one[:, None] - other[None]) for one, other in (octave, side))
    both, either = pooled[0][:, None] & pooled[1][None], pooled[0][:, None] | pooled[1][None]
    return np.where(both, 0, np.where(either, sides, apart))


def _numbers(keys: list) -> list[int]:
    """Numbers runs of equal keys."""
    found, number = [], -1
    for i, key in enumerate(keys):
        number += i == 0 or key != keys[i - 1]
        found.append(number)
    return found


def _boundaries(graph: NetworkGraph) -> list[int]:
    """Returns, ascending, the layers of the graph at which residual blocks begin and end."""
    cuts = [cut.layer for cut in graph.cuts]
    ends = [place for place, layer in enumerate(cuts) if graph.layers[layer].kind == "sum"]
    return sorted({cuts[i] for place in ends for i in (place - 1, place) if i >= 0})


def _block_beside(starts, homes, found, main, block_of, i: int) -> int:
    """Returns the block of a layer beside the main path: that of its residual block, else that of the next layer."""
    if not main:
        return 0
    here = bisect.bisect_left(starts, homes[found[i].equation])
    alike = [j for j in main if bisect.bisect_left(starts, homes[found[j].equation]) == here]
    following = [j for j in alike or main if j > i]
    return block_of[(following or alike or main)[0 if following else -1]]


def _places(graph: NetworkGraph, found: tuple[Kernel, ...]) -> list[tuple[int | None, int]]:
    """Returns octave and side of each kernel's features."""
    whole = max((_whole(graph, value) for value in graph.program.inputs), default=1.0)
    places: list[tuple[int | None, int]] = []
    for kernel in found:
        side = _side(graph, kernel)
        if side is None:
            # Neither what it reads nor what it writes has channels that are known: as the layer before.
            places.append(places[-1] if places else (None, 0))
        elif side <= 1:
            places.append((None, 0))
        else:
            places.append((round(math.log2(whole / side)), round(math.log2(side))))
    return places


def _side(graph: NetworkGraph, kernel: Kernel) -> float | None:
    equation = graph.program.equations[kernel.equation]
    reads = [v for v in equation.reads if v is not None and v in graph.program.dynamic]
    for value in (equation.writes[0], *reads):
        feature = graph.features[value]
        if feature.grid is not None:
            return math.sqrt(feature.grid.height * feature.grid.width)
        if feature.kind in ("map", "tokens"):
            return math.prod(feature.space) ** 0.5
        if feature.kind == "vector":
            return 1.0
    return None


def _whole(graph: NetworkGraph, value: int) -> float:
    """Returns the side of an input: of pictures, whose channels may come first or last, the longer axes."""
    shape = graph.features[value].shape
    if len(shape) >= 3:
        return math.prod(sorted(shape)[-2:]) ** 0.5
    numbers = np.issubdtype(graph.program.avals[value].dtype, np.integer)
    return shape[0] ** 0.5 if len(shape) == 2 or (len(shape) == 1 and numbers) else 1.0
