"""Copied kernels that training turns more slowly, though they compute the same.

What a batch normalisation follows computes the same at any scale, but the larger it is the less a step changes its
direction: c times as large, a step of Adam turns it by 1 / c of the angle and one of plain gradients by 1 / c^2
(van Laarhoven, arXiv 1706.05350). So of the rate that new layers need, less reaches those that already know something.
"""

from collections.abc import Collection, Set

from jaxevo.graph.normalisations import batch_normalisations
from jaxevo.graph.program import Program
from jaxevo.transfer.layers.companions import before
from jaxevo.transfer.layers.structure import Blocks


def powers(target: Blocks, copied: Set[int]) -> dict[int, int]:
    """Says what can be enlarged together, so that the network computes the same but for epsilons of normalisations.

    Args:
      target: the network.
      copied: numbers of the parameters that were copied.

    Returns:
      By number of the parameter, the power of the factor by which it grows: 1 of kernels, of biases between them and
      their normalisation and of running means, 2 of running variances. None of what only one of them was copied of.
    """
    program = target.graph.program
    units = {unit.kernel.equation: unit for unit in (*target.main, *target.others) if unit.kernel.part[1] == 1}
    shared = [unit.kernel.leaf for unit in units.values()]
    found: dict[int, int] = {}
    for one in batch_normalisations(target.graph):
        equation = _own(program, one.value, units)
        if equation is None:
            continue
        unit = units[equation]
        leaves = {unit.kernel.leaf: 1, one.mean.leaf: 1, one.variance.leaf: 2}
        if shared.count(unit.kernel.leaf) == 1 and leaves.keys() <= copied:
            biases = [each.leaf for each in unit.companions if (each.where, each.kind) == ("after", "bias")]
            found |= leaves | dict.fromkeys(biases, 1)
    return found


def _own(program: Program, value: int, equations: Collection[int]) -> int | None:
    """Returns the equation that a value comes from with nothing but a bias in between, None where it has other uses."""
    for each in before(program, value):
        if len(program.readers.get(each, ())) > 1 or each in program.outputs:
            return None
        if program.producer.get(each) in equations:
            return program.producer[each]
    return None
