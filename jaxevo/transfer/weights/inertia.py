"""Copied kernels that training turns more slowly, though they compute the same.

What a batch normalisation follows computes the same at any scale, but the larger it is the less a step changes its
direction: c times as large, a step of Adam turns it by 1 / c of the angle and one of plain gradients by 1 / c^2
(van Laarhoven, arXiv 1706.05350). So of the rate that new layers need, less reaches those that already know something.
"""

from collections.abc import Collection, Set
from typing import Any

from jaxevo.graph.normalisations import batch_normalisations
from jaxevo.graph.program import Program
from jaxevo.transfer.layers.companions import before
from jaxevo.transfer.layers.structure import Blocks

#: The most that kernels are enlarged by: with its square a variance stays far from what float32 can hold.
LARGEST = 1000.0


def check_inertia(where: str, inertia: Any) -> None:
    """Raises ValueError, starting with `where`, unless kernels can be enlarged by this."""
    if isinstance(inertia, bool) or not isinstance(inertia, int | float) or not 1 <= inertia <= LARGEST:
        raise ValueError(
            f"{where}: inertia is {inertia!r}, expected a factor in [1, {LARGEST:g}]; 1 copies weights as they are"
        )


def growth(target: Blocks, copied: Set[int], inertia: float) -> dict[int, float]:
    """Says what is enlarged together, so that the network computes the same but for epsilons of normalisations.

    Args:
      target: the network.
      copied: numbers of the parameters that are copied.
      inertia: by how much kernels grow.

    Returns:
      By number of the parameter, by how much it grows: kernels, biases between them and their normalisation and running
      means by inertia, running variances by its square. What only one of them is copied of stays as it is.
    """
    if inertia == 1:
        return {}
    program = target.graph.program
    units = {unit.kernel.equation: unit for unit in (*target.main, *target.others) if unit.kernel.part[1] == 1}
    shared = [unit.kernel.leaf for unit in units.values()]
    found: dict[int, float] = {}
    for one in batch_normalisations(target.graph):
        equation = _own(program, one.value, units)
        if equation is None:
            continue
        unit = units[equation]
        leaves = {unit.kernel.leaf: inertia, one.mean.leaf: inertia, one.variance.leaf: inertia**2}
        if shared.count(unit.kernel.leaf) == 1 and leaves.keys() <= copied:
            biases = [each.leaf for each in unit.companions if (each.where, each.kind) == ("after", "bias")]
            found |= leaves | dict.fromkeys(biases, inertia)
    return found


def _own(program: Program, value: int, equations: Collection[int]) -> int | None:
    """Returns the equation that a value comes from with nothing but a bias in between, None where it has other uses."""
    for each in before(program, value):
        if len(program.readers.get(each, ())) > 1 or each in program.outputs:
            return None
        if program.producer.get(each) in equations:
            return program.producer[each]
    return None
