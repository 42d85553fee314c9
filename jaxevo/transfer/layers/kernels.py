"""The kernels of a network: convolutions, products and tables, each seen as outputs, inputs and space.

A kernel is looked at as an array whose axes are the factors of its outputs, those of its inputs, and space. There is
one factor each as a rule; attention's outputs are [heads, width of a head], also where a network stores them as one
axis and reshapes what comes out.
"""

import dataclasses
import math
from typing import Literal

from jaxevo.graph.program import Equation
from jaxevo.graph.tracing import NetworkGraph
from jaxevo.transfer.layers.views import Move, source_of

#: main: features flow through it; gate: it scales them (squeeze-and-excite); side: it lies on a shortcut.
Role = Literal["main", "gate", "side"]

#: Equations that a value passes before it is reshaped into heads: bias, dtype, order of axes.
_PASSED = ("add", "add_any", "convert_element_type", "copy", "mul")


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One kernel.

    equation: index of the equation that reads it.
    leaf: number of its parameter.
    moves: from the parameter to the array [*outs, *ins, *space].
    outs, ins: factors of its outputs, and of the inputs of one group.
    space: sizes of its spatial axes.
    groups: groups of channels that are convolved apart.
    part: which of equal parts of the outputs it is, (index, number), such as keys among queries, keys and values.
    """

    equation: int
    leaf: int
    moves: tuple[Move, ...]
    outs: tuple[int, ...]
    ins: tuple[int, ...]
    space: tuple[int, ...] = ()
    groups: int = 1
    part: tuple[int, int] = (0, 1)

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """Outputs, inputs of one group, and three spatial sizes, the first of them 1 where there are fewer."""
        depth, height, width = ((1,) * (3 - len(self.space)) + self.space)[-3:]
        return math.prod(self.outs), math.prod(self.ins), depth, height, width

    @property
    def depthwise(self) -> bool:
        """Whether each channel is convolved alone."""
        return self.groups > 1 and self.groups == self.outs[0] and self.ins == (1,)


def kernels(graph: NetworkGraph) -> tuple[Kernel, ...]:
    """Lists the kernels of a network, in an order in which it can run.

    Args:
      graph: the network.

    Returns:
      Its kernels; products of queries, keys and values that are stored as one are three.
    """
    found: list[Kernel] = []
    for index, equation in enumerate(graph.program.equations):
        found += _READERS.get(equation.primitive, _none)(graph, index, equation)
    return tuple(found)


def _none(graph: NetworkGraph, index: int, equation: Equation) -> list[Kernel]:  # noqa: ARG001
    return []


def _convolution(graph: NetworkGraph, index: int, equation: Equation) -> list[Kernel]:
    program = graph.program
    source = source_of(program, equation.reads[1])
    if source is None or equation.reads[0] not in program.dynamic or equation.reads[1] is None:
        return []
    spec = equation.params["dimension_numbers"].rhs_spec
    out, inner, *space = (program.avals[equation.reads[1]].shape[axis] for axis in spec)
    moves = (*source.moves, ("transpose", tuple(spec)))
    groups = equation.params["feature_group_count"]
    return [Kernel(index, source.leaf, moves, (out,), (inner,), tuple(space), groups)]


def _product(graph: NetworkGraph, index: int, equation: Equation) -> list[Kernel]:
    program = graph.program
    dynamic = [side for side in (0, 1) if equation.reads[side] in program.dynamic]
    if len(dynamic) != 1:
        return []
    side = 1 - dynamic[0]
    source, value = source_of(program, equation.reads[side]), equation.reads[dynamic[0]]
    if source is None or value is None:
        return []
    summed, batch = (pair[side] for pair in equation.params["dimension_numbers"])
    shape = program.avals[equation.reads[side] or 0].shape
    free = [axis for axis in range(len(shape)) if axis not in (*summed, *batch)]
    outs = tuple(shape[axis] for axis in (*batch, *free)) or (1,)
    ins = tuple(shape[axis] for axis in summed)
    if len(outs) == 1:
        outs = _split_after(program, equation.writes[0], side, len(free)) or outs
    if len(ins) == 1:
        ins = _merged_before(program, value, equation.params["dimension_numbers"][0][dynamic[0]][0]) or ins
    moves = (*source.moves, ("transpose", (*batch, *free, *summed)), ("reshape", (*outs, *ins)))
    whole = Kernel(index, source.leaf, moves, outs, ins)
    if len(outs) != 3 or outs[0] != 3:
        return [whole]
    return [
        dataclasses.replace(whole, moves=(*moves, ("take", part)), outs=outs[1:], part=(part, 3)) for part in range(3)
    ]


def _gather(graph: NetworkGraph, index: int, equation: Equation) -> list[Kernel]:
    """A table of which rows are looked up: its rows are inputs, as those of a product with one-hot vectors are."""
    program = graph.program
    source = source_of(program, equation.reads[0])
    shape = program.avals[equation.reads[0]].shape if equation.reads[0] is not None else ()
    if source is None or len(shape) != 2 or equation.reads[1] not in program.dynamic:
        return []
    return [Kernel(index, source.leaf, (*source.moves, ("transpose", (1, 0))), shape[1:], shape[:1])]


def _loop(graph: NetworkGraph, index: int, equation: Equation) -> list[Kernel]:
    """The largest matrix that a loop reads stands for the loop."""
    program = graph.program
    sources = (source_of(program, value) for value in equation.reads)
    leaves = [s for s in sources if s is not None and len(program.avals[s.leaf].shape) >= 2]
    if not leaves or not any(value in program.dynamic for value in equation.reads):
        return []
    leaf = max(leaves, key=lambda s: math.prod(program.avals[s.leaf].shape)).leaf
    shape = program.avals[leaf].shape
    last = len(shape) - 1
    return [Kernel(index, leaf, (("transpose", (last, *range(last))),), shape[-1:], shape[:-1])]


_READERS = {
    "conv_general_dilated": _convolution,
    "dot_general": _product,
    "gather": _gather,
    "scan": _loop,
    "while": _loop,
    "cond": _loop,
}


def _split_after(program, value: int, side: int, free: int) -> tuple[int, ...] | None:
    """Returns into which factors the channels that a product writes are reshaped, by the first equation to do so."""
    axis = len(program.avals[value].shape) - free if side else 0
    while len(program.readers.get(value, ())) == 1 and value not in program.outputs:
        equation = program.equations[program.readers[value][0]]
        if equation.primitive == "reshape":
            came, shape = program.avals[value].shape, program.avals[equation.writes[0]].shape
            return _factors(came, axis, shape)
        if equation.primitive not in _PASSED or program.avals[equation.writes[0]].shape != program.avals[value].shape:
            return None
        value = equation.writes[0]
    return None


def _merged_before(program, value: int, axis: int) -> tuple[int, ...] | None:
    """Returns from which factors the channels that a product reads were merged."""
    while value in program.producer:
        equation = program.equations[program.producer[value]]
        if equation.reads[0] is None or equation.reads[0] not in program.dynamic:
            return None
        if equation.primitive == "reshape":
            return _factors(program.avals[value].shape, axis, program.avals[equation.reads[0]].shape)
        if equation.primitive not in ("convert_element_type", "copy"):
            return None
        value = equation.reads[0]
    return None


def _factors(whole: tuple[int, ...], axis: int, parts: tuple[int, ...]) -> tuple[int, ...] | None:
    """Returns the lengths greater than one in `parts` that an axis of `whole` is made of, None where it is not split.

    The batch, axis 0 on both sides, is none of them.
    """
    before, wanted = math.prod(whole[:axis]), whole[axis]
    for start in range(1, len(parts)):
        if math.prod(parts[:start]) != before:
            continue
        for end in range(start + 1, len(parts) + 1):
            if math.prod(parts[start:end]) == wanted:
                found = tuple(n for n in parts[start:end] if n > 1)
                if len(found) > 1:
                    return found
    return None
