"""The parameters that go with a kernel: biases, normalisations with their statistics, positions, class tokens."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Literal

from jaxevo.graph.grids import Grid
from jaxevo.graph.normalisations import batch_normalisations
from jaxevo.graph.program import Equation, Program
from jaxevo.graph.tracing import NetworkGraph
from jaxevo.transfer.layers.kernels import Kernel
from jaxevo.transfer.layers.views import Move

Kind = Literal["bias", "gain", "scale", "shift", "mean", "variance", "positions", "token", "other"]

#: What a kernel's output passes on its way to the place where a bias or a gain meets it.
_PASSED = ("add", "add_any", "convert_element_type", "copy", "reshape", "broadcast_in_dim", "squeeze")


@dataclasses.dataclass(frozen=True)
class Companion:
    """A parameter that goes with a kernel.

    leaf: its number.
    where: "after" where it meets what the kernel writes, "before" where it meets what the kernel reads.
    kind: "bias" and "gain" are added to and multiplied with the kernel's own output, "shift" and "scale" with what a
      normalisation or a joint made of it.
    order: 0 for the first of its kind there, 1 for the second.
    moves: from the parameter to the array that is matched, channels last.
    grid: of positions, how tokens lie in the picture.
    """

    leaf: int
    where: Literal["before", "after"]
    kind: Kind
    order: int
    moves: tuple[Move, ...]
    grid: Grid | None = None

    @property
    def role(self) -> tuple[str, str, int]:
        """What a companion of another network has in common with it."""
        return self.where, self.kind, self.order


def companions(graph: NetworkGraph, kernels: tuple[Kernel, ...], main: tuple[bool, ...]) -> list[list[Companion]]:
    """Assigns every parameter that the outputs depend on and that is no kernel to a kernel.

    Args:
      graph: the network.
      kernels: its kernels, in the order of their equations.
      main: whether each lies on the main path.

    Returns:
      The companions of each kernel.
    """
    found: list[list[Companion]] = [[] for _ in kernels]
    if not kernels:
        return found
    taken = {kernel.leaf for kernel in kernels}
    homes = {index: i for i, layer in enumerate(graph.layers) for index in layer.equations}
    statistics: dict[int, Kind] = {}
    for one in batch_normalisations(graph):
        statistics |= {one.mean.leaf: "mean", one.variance.leaf: "variance"}
    for leaf, index in consumers(graph).items():
        if leaf in taken:
            continue
        owner, where = _owner(kernels, main, homes, index)
        kind = statistics.get(leaf) or _kind(graph, kernels[owner], where, index)
        parts = [i for i, k in enumerate(kernels) if k.equation == kernels[owner].equation] if where == "after" else []
        for each in parts or [owner]:
            order = sum(other.kind == kind and other.where == where for other in found[each])
            found[each].append(_companion(graph, kernels[each], leaf, where, kind, order, index))
    return found


def consumers(graph: NetworkGraph) -> dict[int, int]:
    """Returns, for each parameter, the first equation in which it meets what depends on the inputs."""
    program = graph.program
    origins: dict[int, tuple[int, ...]] = {leaf: (leaf,) for leaf in range(program.leaves)}
    found: dict[int, int] = {}
    for index, equation in enumerate(program.equations):
        static = [v for v in equation.reads if v is not None and v not in program.dynamic]
        leaves = tuple(dict.fromkeys(leaf for v in static for leaf in origins.get(v, ())))
        if any(v in program.dynamic for v in equation.writes):
            for leaf in leaves:
                found.setdefault(leaf, index)
        else:
            origins.update(dict.fromkeys(equation.writes, leaves))
    return found


def before(program: Program, value: int) -> Iterator[int]:
    """Yields a value, and what it was before biases were added and its shape or dtype changed, the latest first."""
    yield value
    while value in program.producer:
        equation = program.equations[program.producer[value]]
        operands = [v for v in equation.reads if v is not None and v in program.dynamic]
        if equation.primitive not in _PASSED or len(operands) != 1:
            return
        value = operands[0]
        yield value


def _owner(kernels, main, homes, index: int) -> tuple[int, Literal["before", "after"]]:
    """Returns the kernel of an equation's own layer, else the next one on the main path."""
    for i, kernel in enumerate(kernels):
        if homes.get(kernel.equation) == homes.get(index) and kernel.equation <= index:
            return i, "after"
    following = [i for i, kernel in enumerate(kernels) if kernel.equation > index]
    on_path = [i for i in following if main[i]]
    if following:
        return (on_path or following)[0], "before"
    return len(kernels) - 1, "after"


def _kind(graph: NetworkGraph, kernel: Kernel, where: str, index: int) -> Kind:
    program = graph.program
    equation = program.equations[index]
    plain = where == "after" and _leads(program, equation, kernel)
    if equation.primitive in ("add", "add_any", "sub"):
        value = equation.writes[0]
        if graph.features[value].kind == "tokens" and _space(graph, equation) > 1:
            return "positions"
        return "bias" if plain else "shift"
    if equation.primitive in ("mul", "div"):
        return "gain" if plain else "scale"
    return "token" if equation.primitive == "concatenate" else "other"


def _leads(program: Program, equation: Equation, kernel: Kernel) -> bool:
    """Returns whether an equation reads a kernel's own output, with nothing but a bias in between."""
    operand = next((v for v in equation.reads if v is not None and v in program.dynamic), None)
    return operand is not None and any(program.producer.get(v) == kernel.equation for v in before(program, operand))


def _space(graph: NetworkGraph, equation) -> int:
    """Returns how many numbers what is added holds for each channel."""
    feature = graph.features[equation.writes[0]]
    static = [v for v in equation.reads if v is not None and v not in graph.program.dynamic]
    return max((math.prod(graph.program.avals[v].shape) // feature.channels for v in static), default=0)


def _companion(graph, kernel: Kernel, leaf: int, where, kind: Kind, order: int, index: int) -> Companion:
    shape = graph.program.avals[leaf].shape
    size, outs = math.prod(shape), math.prod(kernel.outs)
    part, parts = kernel.part
    grid = None
    moves: tuple[Move, ...] = ()
    if kind in ("positions", "token"):
        moves = (("reshape", (size // shape[-1], shape[-1])),)
        grid = graph.features[graph.program.equations[index].writes[0]].grid if kind == "positions" else None
    elif where == "after" and parts > 1 and size == outs * parts:
        moves = (("reshape", (parts, *kernel.outs)), ("take", part))
    elif where == "after" and size == outs:
        moves = (("reshape", kernel.outs),)
    elif size == max((1, *shape)):
        moves = (("reshape", (size,)),)
    return Companion(leaf, where, kind, order, moves, grid)
