"""Groups of channels that can only be cut together, found from a network's equations.

Every axis of every value gets a label (`labels`), and every equation says which labels are one (`rules`): the channels
of a residual sum, of a normalisation's scale, of a depthwise convolution, the heads of query, key and value. What is
left over as an atom that nothing pins, and that some convolution or product makes, is a group.

The inputs and outputs of the network are pinned, and so is every axis along which a mean, a maximum or a layer
normalisation runs: with fewer channels it would be another one. So what a layer normalisation of a transformer reads,
its residual stream, keeps its width; heads and hidden neurons behind it do not have to. Loops (`scan`) are not looked
into; what goes in and out is pinned.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from jaxevo.graph import NetworkGraph
from jaxevo.graph.program import Equation, Program
from jaxevo.graph.tracing import check_graph
from jaxevo.pruning.axes.inlining import Inlined, inline
from jaxevo.pruning.axes.labels import Labels
from jaxevo.pruning.axes.rules import label

Kind = Literal["channel", "neuron", "head", "dimension"]

KINDS: tuple[Kind, ...] = ("channel", "neuron", "head", "dimension")

#: Batch size at which axes are labelled; lengths of features are rarely divisible by it.
BATCH = 3


@dataclasses.dataclass(frozen=True)
class Group:
    """Units that can be cut from a network one by one, each from all layers that share it.

    name: the first layer that makes them, unique.
    kind: what a unit is: a "channel" of a convolution, a "neuron" of a dense layer, a "head" of an attention, or a
      "dimension" in which all heads compare queries with keys, or give values.
    size: number of units.
    layers: names of the layers that make them.
    """

    name: str
    kind: Kind
    size: int
    layers: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Dependencies:
    """A network with its axes labelled; made by `depend`.

    graph: the network.
    labels: the labels.
    axes: the label of each axis of each value of the opened program, by number.
    groups: the groups, in the order in which they are made.
    atoms: the label of each group.
    """

    graph: NetworkGraph
    labels: Labels
    axes: tuple[tuple[int, ...], ...]
    groups: tuple[Group, ...]
    atoms: tuple[int, ...]
    _programs: dict[int, Program] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    def at(self, batch: int) -> Program:
        """Returns the opened program at a batch size; its values have the same numbers at all."""
        if batch not in self._programs:
            self._programs[batch] = inline(self.graph.at(batch)).program
        return self._programs[batch]

    @functools.cached_property
    def place(self) -> dict[int, int]:
        """Index of the group of each label that is one."""
        return {atom: index for index, atom in enumerate(self.atoms)}

    def within(self, axis: int) -> set[int]:
        """Returns the indices of the groups that an axis with this label is made of."""
        return {self.place[atom] for atom in self.labels.atoms(axis) if atom in self.place}

    def spread(self, axis: int, units: list[Any], numpy: Any = np) -> Any:
        """Spreads numbers of units over the positions of an axis.

        Args:
          axis: its label.
          units: for each group an array [size], or None for ones.
          numpy: `numpy` or `jax.numpy`.

        Returns:
          For each position the product of the numbers of its units, [length]; None where all are one.
        """
        axis = self.labels.find(axis)
        made = self.labels.made(axis)
        if made is None:
            return units[self.place[axis]] if axis in self.place else None
        kind, parts = made
        found = [self.spread(part, units, numpy) for part in parts]
        if all(one is None for one in found):
            return None
        dtype = next(one.dtype for one in found if one is not None)
        whole = [
            numpy.ones(self.labels.size(part), dtype) if one is None else one
            for part, one in zip(parts, found, strict=True)
        ]
        if kind == "sum":
            return numpy.concatenate(whole)
        return functools.reduce(lambda a, b: (a[:, None] * b[None]).reshape(-1), whole)

    def positions(self, axis: int, group: int) -> np.ndarray:
        """Returns which unit of a group each position of an axis belongs to, int [length]; -1 where to none."""
        axis = self.labels.find(axis)
        made = self.labels.made(axis)
        if made is None:
            length = self.labels.size(axis)
            return np.arange(length) if self.place.get(axis) == group else np.full(length, -1)
        kind, parts = made
        found = [self.positions(part, group) for part in parts]
        if kind == "sum":
            return np.concatenate(found)
        grid = np.meshgrid(*found, indexing="ij")
        return np.max(grid, axis=0).reshape(-1)

    def contractions(self, equation: Equation) -> Iterator[tuple[int, int, int]]:
        """Yields what an equation sums over that is made of groups: operand, axis of the operand, label."""
        for side, axis in _summed(self.at(BATCH), equation):
            value = equation.reads[side]
            assert value is not None, "operands of convolutions and products are arrays"
            if self.within(self.axes[value][axis]):
                yield side, axis, self.axes[value][axis]


def depend(graph: NetworkGraph) -> Dependencies:
    """Labels the axes of a network and finds the groups of channels that can only be cut together.

    Args:
      graph: the network.

    Returns:
      Its labelled axes and groups.

    Raises:
      TypeError: where graph is no `NetworkGraph`.
    """
    check_graph("depend", "graph", graph)
    opened = inline(graph.at(BATCH))
    program, labels = opened.program, Labels()
    axes = tuple(tuple(labels.new(length) for length in aval.shape) for aval in program.avals)
    for value in (*program.inputs, *program.outputs):
        labels.pin(*axes[value])
    for equation in program.equations:
        ins = [() if value is None else axes[value] for value in equation.reads]
        label(labels, equation.primitive, equation.params, ins, [axes[value] for value in equation.writes])
    atoms, groups = _groups(graph, opened, labels, axes)
    return Dependencies(graph, labels, axes, groups, atoms, {BATCH: program})


def _groups(graph: NetworkGraph, opened: Inlined, labels: Labels, axes) -> tuple[tuple[int, ...], tuple[Group, ...]]:
    makers: dict[int, list[int]] = {}
    kinds: dict[int, Kind] = {}
    for index, equation in enumerate(opened.program.equations):
        for axis, kind in _made(opened.program, equation, axes):
            for atom in labels.atoms(axis):
                if not labels.pinned(atom):
                    makers.setdefault(atom, []).append(index)
                    kinds.setdefault(atom, kind)
        for axis, kind in _attended(opened.program, equation, axes):
            for atom in labels.atoms(axis):
                # A head is one wherever else it is made.
                kinds[atom] = "head" if "head" in (kind, kinds.get(atom)) else kind
    homes = {index: layer.name for layer in graph.layers for index in layer.equations}
    found, names = [], {}
    for atom, indices in makers.items():
        layers = tuple(dict.fromkeys(homes[opened.origins[index]] for index in indices))
        name, kind = layers[0], kinds[atom]
        names[name] = names.get(name, 0) + 1
        if names[name] > 1:
            name = f"{name} ({names[name]})"
        found.append(Group(name, kind, labels.size(atom), layers))
    return tuple(makers), tuple(found)


def _made(program: Program, equation: Equation, axes) -> Iterator[tuple[int, Kind]]:
    """Yields the axes that a layer makes from its weights."""
    if equation.primitive == "conv_general_dilated" and equation.reads[0] in program.dynamic:
        yield axes[equation.writes[0]][equation.params["dimension_numbers"].out_spec[1]], "channel"
    if equation.primitive == "dot_general":
        moving = [value in program.dynamic for value in equation.reads]
        if sum(moving) == 1:
            side = moving.index(False)
            summed, batch = equation.params["dimension_numbers"]
            weights = equation.reads[side]
            assert weights is not None, "operands of products are arrays"
            for place, axis in enumerate(axes[weights]):
                if place not in summed[side] and place not in batch[side]:
                    yield axis, "neuron"


def _attended(program: Program, equation: Equation, axes) -> Iterator[tuple[int, Kind]]:
    """Yields the axes of a product of two features, and what their positions are in an attention."""
    if equation.primitive != "dot_general" or not all(value in program.dynamic for value in equation.reads):
        return
    _, batch = equation.params["dimension_numbers"]
    for side, value in enumerate(equation.reads):
        assert value is not None, "operands of products are arrays"
        for place, axis in enumerate(axes[value]):
            yield axis, "head" if place in batch[side] else "dimension"


def _summed(program: Program, equation: Equation) -> Iterator[tuple[int, int]]:
    """Yields operand and axis of what an equation sums over, of two operands the one that is made of weights."""
    if equation.primitive == "conv_general_dilated":
        yield 1, equation.params["dimension_numbers"].rhs_spec[1]
    if equation.primitive == "dot_general":
        summed, _ = equation.params["dimension_numbers"]
        side = 0 if equation.reads[0] not in program.dynamic else 1
        yield from zip(itertools.repeat(side), summed[side])
