"""Networks run with units left out: masked, or compacted to smaller arrays.

A unit is gone where nothing sums over it. Masked, a network computes all of its units, and every convolution or product
that sums over their axis skips those that are cut: its weights are multiplied by 0 there. Compacted, they are not there
at all; what they would have been makes no difference to either, so both give the same outputs. n is the length of an
axis.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from jaxevo.graph.program import Equation, Program, evaluate_equation
from jaxevo.graph.tracing import check_params
from jaxevo.network import Network, check_inputs
from jaxevo.pruning.axes.dependencies import Dependencies
from jaxevo.pruning.axes.inlining import CLIPS

PyTree = Any

#: Numbers of units, for each group an array [size] or None for ones.
Units = list[Any]


def run_masked(found: Dependencies, units: Units, params: PyTree, inputs: PyTree) -> PyTree:
    """Runs a network with numbers multiplied to its units, where they are summed over: 0 cuts a unit.

    Args:
      found: the network.
      units: for each group an array [size] of 0 and 1, or real numbers to be differentiated by; None for ones.
      params: the network's parameters.
      inputs: a batch of inputs.

    Returns:
      The outputs.
    """
    network = found.graph.network
    batch = check_inputs(f"masked {network.name!r}", network.inputs, inputs)
    check_params(f"masked {network.name!r}", network.params, params)
    program = found.at(batch)
    values = {**program.constants, **dict(enumerate(jax.tree.leaves(params)))}
    values |= zip(program.inputs, jax.tree.leaves(inputs), strict=True)
    return _run(found, program, values, units, lambda equation: equation)


def compact(found: Dependencies, units: Units, multiple: int, params: PyTree) -> Network:
    """Takes units out of a network, for good.

    Args:
      found: the network.
      units: for each group a bool array [size] on the host, which units are kept; None for all.
      multiple: widths are rounded up to a multiple of it, as far as there are units; those that come back are summed
        over nowhere.
      params: the network's parameters.

    Returns:
      The smaller network; its parameters are like the network's, with shorter axes.
    """
    network = found.graph.network
    kept = [None if one is None else rounded(np.asarray(one, bool), multiple) for one in units]
    pairs = list(zip(units, kept, strict=True))
    # What came back for the sake of a round width must not count.
    spare = any(mine is not None and mine.sum() > np.sum(one) for one, mine in pairs)
    masks = [None if mine is None or not spare else np.asarray(one, np.float32)[mine] for one, mine in pairs]
    narrow = _Narrow(found, kept)
    leaves, structure = jax.tree.flatten(params)
    small = jax.tree.unflatten(structure, [jnp.asarray(narrow.take(i, leaf)) for i, leaf in enumerate(leaves)])
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), small)

    def apply(params, inputs):
        where = f"pruned {network.name!r}"
        batch = check_inputs(where, network.inputs, inputs)
        check_params(where, shapes, params)
        program = found.at(batch)
        values: dict[int, Any] = {v: narrow.take(v, constant) for v, constant in program.constants.items()}
        values |= enumerate(jax.tree.leaves(params))
        values |= zip(program.inputs, jax.tree.leaves(inputs), strict=True)
        return _run(found, program, values, masks, narrow.rewrite)

    return dataclasses.replace(network, apply=apply, params=small)


def rounded(units: np.ndarray, multiple: int) -> np.ndarray:
    """Returns units [size] with so many of those that were cut back, the first ones, as a multiple asks for."""
    wanted = min(len(units), -(-int(units.sum()) // multiple) * multiple)
    back = np.flatnonzero(~units)[: wanted - int(units.sum())]
    return units | np.isin(np.arange(len(units)), back)


def _run(
    found: Dependencies,
    program: Program,
    values: Mapping[int, Any],
    units: Units,
    rewrite: Callable[[Equation], Equation],
) -> PyTree:
    known = dict(values)
    numpy = np if all(one is None or isinstance(one, np.ndarray) for one in units) else jnp
    for equation in program.equations:
        operands = {side: known[value] for side, value in enumerate(equation.reads) if value is not None}
        for side, axis, label in found.contractions(equation):
            mask = found.spread(label, units, numpy)
            if mask is not None and not (isinstance(mask, np.ndarray) and (mask == 1).all()):
                operand = operands[side]
                shape = [-1 if place == axis else 1 for place in range(operand.ndim)]
                operands[side] = operand * mask.reshape(shape).astype(operand.dtype)
        known.update(zip(equation.writes, _evaluate(rewrite(equation), list(operands.values())), strict=True))
    return jax.tree.unflatten(program.structure, [known[value] for value in program.outputs])


def _evaluate(equation: Equation, operands: list) -> list:
    if equation.primitive not in CLIPS.values():
        return evaluate_equation(equation, operands)
    (x,) = operands
    bound = next(x.dtype.type(atom.val) for atom in equation.source.invars if isinstance(atom, core.Literal))
    outside = x <= bound if equation.primitive == CLIPS["max"] else x >= bound
    return [jnp.where(outside, bound, x)]


class _Narrow:
    """Cuts arrays to the units that are kept, and rewrites the lengths that stand in equations.

    kept: for each group a bool array [size], or None for all.
    """

    def __init__(self, found: Dependencies, kept: Units):
        self.found = found
        self.kept = kept
        self._indices: dict[int, np.ndarray | None] = {}

    def indices(self, label: int) -> np.ndarray | None:
        """Returns the positions of an axis that are kept, None where all are."""
        if label not in self._indices:
            mask = self.found.spread(label, self.kept)
            self._indices[label] = None if mask is None or mask.all() else np.flatnonzero(mask)
        return self._indices[label]

    def take(self, value: int, array: Any) -> Any:
        """Cuts the array of a value."""
        for axis, label in enumerate(self.found.axes[value]):
            indices = self.indices(label)
            array = array if indices is None else np.take(np.asarray(array), indices, axis)
        return array

    def length(self, label: int, before: int) -> int:
        """Returns the length of an axis after the cut; its length before grows with the batch on some axes."""
        indices = self.indices(label)
        return before if indices is None else before * len(indices) // self.found.labels.size(label)

    def rewrite(self, equation: Equation) -> Equation:
        """Returns an equation for arrays that are cut."""
        ins = [() if value is None else self.found.axes[value] for value in equation.reads]
        outs = [self.found.axes[value] for value in equation.writes]
        if all(self.indices(label) is None for axes in (*ins, *outs) for label in axes):
            return equation
        changes = _CHANGES.get(equation.primitive)
        if changes is None:
            return equation
        params = {**equation.params, **changes(self, equation.params, ins, outs)}
        return dataclasses.replace(equation, params=params, source=equation.source.replace(params=params))

    def lengths(self, axes, before) -> tuple[int, ...]:
        """Returns the lengths of several axes after the cut."""
        return tuple(self.length(label, size) for label, size in zip(axes, before, strict=True))

    def bound(self, label: int, position: int) -> int:
        """Returns how many positions before one are kept."""
        indices = self.indices(label)
        return position if indices is None else int(np.searchsorted(indices, position))


def _slice(narrow: _Narrow, params, ins, outs):
    del outs
    bounds = ("start_indices", "limit_indices")
    return {name: tuple(map(narrow.bound, ins[0], params[name])) for name in bounds}


def _split(narrow: _Narrow, params, ins, outs):
    del ins
    labels = [axes[params["axis"]] for axes in outs]
    return {"sizes": narrow.lengths(labels, params["sizes"])}


def _convolution(narrow: _Narrow, params, ins, outs):
    del outs
    left, kernel, _ = params["dimension_numbers"]
    inputs, each = ins[0][left[1]], ins[1][kernel[1]]
    channels, per_group = (narrow.length(label, narrow.found.labels.size(label)) for label in (inputs, each))
    return {"feature_group_count": channels // per_group}


def _of_results(name: str) -> Callable[..., dict[str, Any]]:
    """Says that a parameter holds the lengths of the result's axes."""
    return lambda narrow, params, _, outs: {name: narrow.lengths(outs[0], params[name])}


def _gather(narrow: _Narrow, params, ins, outs):
    del outs
    return {"slice_sizes": narrow.lengths(ins[0], params["slice_sizes"])}


#: What equations hold of the lengths of axes, by primitive.
_CHANGES: dict[str, Callable[..., dict[str, Any]]] = {
    "reshape": _of_results("new_sizes"),
    "broadcast_in_dim": _of_results("shape"),
    "iota": _of_results("shape"),
    "dynamic_slice": _of_results("slice_sizes"),
    "slice": _slice,
    "split": _split,
    "gather": _gather,
    "conv_general_dilated": _convolution,
}
