"""Layers of the target that nothing corresponds to, set so that what the others compute comes through.

A layer that keeps its random numbers between two that were filled destroys what the first hands to the second. Where
nothing was copied into a residual branch, its end is set to zero, so that features go round it (as in Goyal et al.,
arXiv 1706.02677); any other layer of the main path becomes the identity at the middle of its axes, where `tensors` puts
what is copied (as in Net2Net, arXiv 1511.05641). All of them go on learning: no gradient is zero for good. What the
guard keeps back stays as it is, and so do gates, which scale all channels nearly alike when they are new.
"""

from collections.abc import Collection
from typing import Literal, NamedTuple

import numpy as np

from jaxevo.graph.program import Program
from jaxevo.transfer.layers.companions import Companion, consumers
from jaxevo.transfer.layers.kernels import Kernel
from jaxevo.transfer.layers.paths import branches
from jaxevo.transfer.layers.structure import Blocks, Unit
from jaxevo.transfer.layers.views import look, put
from jaxevo.transfer.weights.tensors import middles

#: Equations whose kernels can be the identity.
_LINEAR = ("conv_general_dilated", "dot_general")


class Bridge(NamedTuple):
    """A parameter that is set.

    what: the kernel or companion that it is.
    how: what it becomes.
    """

    what: Kernel | Companion
    how: Literal["zero", "identity"]


def bridges(target: Blocks, filled: Collection[int], refused: Collection[int]) -> dict[int, Bridge]:
    """Says what is set in layers that nothing was copied into.

    Args:
      target: the network.
      filled: numbers of the parameters that were copied.
      refused: numbers of those that have to stay as they are.

    Returns:
      What is set, by number of the parameter.
    """
    program = target.graph.program
    kernels = [unit.kernel for unit in (*target.main, *target.others)]
    main = {unit.kernel.equation: unit for unit in target.main}
    taken = {*filled, *refused}
    free = {equation: unit for equation, unit in main.items() if unit.kernel.leaf not in taken}
    met = consumers(target.graph)
    found: dict[int, Bridge] = {}
    silent: set[int] = set()
    for branch in branches(program, kernels):
        inside = branch.inside & main.keys()
        if inside and inside <= free.keys():
            silent |= inside
            for equation in _last(program, branch.end, inside):
                found |= _silenced(free[equation], met, branch.inside)
    places = [place for place, unit in enumerate(target.main) if unit.kernel.leaf in filled]
    for unit in target.main[places[0] : places[-1]] if places else ():
        kernel = unit.kernel
        if kernel.equation in free and kernel.equation not in silent and _plain(program, kernel):
            biases = [one for one in unit.companions if one.kind == "bias" and one.where == "after"]
            found |= {kernel.leaf: Bridge(kernel, "identity"), **{one.leaf: Bridge(one, "zero") for one in biases}}
    return found


def bridged(bridge: Bridge, array: np.ndarray) -> np.ndarray:
    """Returns a parameter as it is set; what the kernel or companion does not show stays."""
    view = look(array, bridge.what.moves)
    if isinstance(bridge.what, Kernel) and bridge.how == "identity":
        return put(array, bridge.what.moves, _identity(bridge.what, view))
    return put(array, bridge.what.moves, np.zeros_like(view))


def _silenced(unit: Unit, met: dict[int, int], branch: Collection[int]) -> dict[int, Bridge]:
    """Returns what makes a layer write zeros: a factor behind it where there is one, else the kernel itself.

    A kernel of zeros before a normalisation would have gradients of the order of 1 / sqrt(epsilon).

    met: by parameter, the equation in which it meets features; branch: the equations before the end of the branch; what
    lies behind that (a normalisation of the sum) is left alone.
    """
    own = ("bias", "gain")
    behind = [one for one in unit.companions if one.where == "after" and (one.kind in own or met[one.leaf] in branch)]
    factors = [one for one in behind if one.kind in ("gain", "scale")]
    summands = [one for one in behind if one.kind in ("bias", "shift")]
    kernel = [] if factors else [unit.kernel]
    return {one.leaf: Bridge(one, "zero") for one in (*kernel, *factors, *summands)}


def _last(program: Program, end: int, inside: Collection[int]) -> set[int]:
    """Returns those of some equations from which a value is reached without passing another one of them."""
    found: set[int] = set()
    seen: set[int] = set()
    stack = [end]
    while stack:
        index = program.producer.get(stack.pop())
        if index is None or index in seen:
            continue
        seen.add(index)
        if index in inside:
            found.add(index)
        else:
            stack += [value for value in program.equations[index].reads if value in program.dynamic]
    return found


def _plain(program: Program, kernel: Kernel) -> bool:
    """Returns whether a kernel can be the identity."""
    if program.equations[kernel.equation].primitive not in _LINEAR or kernel.part[1] > 1:
        return False
    return len(kernel.outs) == len(kernel.ins) == 1 and (kernel.groups == 1 or kernel.depthwise)


def _identity(kernel: Kernel, view: np.ndarray) -> np.ndarray:
    made = view.copy()
    centre = tuple((length - 1) // 2 for length in kernel.space)
    if kernel.depthwise:
        made[:] = 0
        made[(slice(None), 0, *centre)] = 1
        return made
    ins, outs = middles(kernel.ins, kernel.outs)
    rows, columns = (np.arange(one[0].start, one[0].stop) for one in (outs, ins))
    made[rows] = 0
    made[(rows, columns, *centre)] = 1
    return made
