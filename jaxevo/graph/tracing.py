"""`NetworkGraph`: a network read as equations, features and layers."""

import collections
import dataclasses
import functools
import hashlib
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.extend import core

from jaxevo.graph.cost import multiply_adds
from jaxevo.graph.features import Feature, features
from jaxevo.graph.layers import Layer, group, parameters_of
from jaxevo.graph.program import Program, open_jaxpr, run_equations, trace_program
from jaxevo.network import Network, batched, check_inputs

PyTree = Any

#: Batch sizes that a network is traced with to see its structure; what differs between the two is the batch axis.
TRACED, _OTHER = 2, 3

#: A network may close over tables and masks up to this many bytes; more belongs into its parameters.
_LARGEST_CONSTANT = 2**20


@dataclasses.dataclass(frozen=True)
class Cut:
    """A feature at which a network can be cut, the last value of a layer.

    value: its number.
    layer: index of the layer that ends with it.
    name: the layer's name.
    feature: what it is.
    depth: relative depth in [0, 1], distance to the inputs over the sum of the distances to inputs and outputs, in
      layers along the shortest way (arXiv 2403.14224).
    """

    value: int
    layer: int
    name: str
    feature: Feature
    depth: float


@dataclasses.dataclass(frozen=True)
class NetworkGraph:
    """A network read as a graph on the host; made by `trace`.

    network: the network.
    program: its equations, traced at batch size 2.
    features: what each value is, by number.
    paths: path of each parameter leaf, by number.
    layers: its layers, in an order in which they can run.
    """

    network: Network
    program: Program
    features: tuple[Feature, ...]
    paths: tuple[str, ...]
    layers: tuple[Layer, ...]
    _programs: dict[int, Program] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The network's name."""
        return self.network.name

    @functools.cached_property
    def multiply_adds(self) -> int:
        """Multiply-adds for one example."""
        return multiply_adds(self.program) // TRACED

    @functools.cached_property
    def parameters(self) -> int:
        """Number of parameters that the outputs depend on."""
        used = parameters_of(self.program, range(len(self.program.equations)))
        return sum(math.prod(self.program.avals[v].shape) for v in used)

    @functools.cached_property
    def cuts(self) -> tuple[Cut, ...]:
        """The features through which everything flows, one per layer, from the inputs to the outputs."""
        through = _through(self.program)
        depths = _depths(self)
        found = []
        for index, layer in enumerate(self.layers):
            values = [v for i in layer.equations for v in self.program.equations[i].writes if v in through]
            if values:
                found.append(Cut(values[-1], index, layer.name, self.features[values[-1]], depths[index]))
        return tuple(found)

    @functools.cached_property
    def points(self) -> tuple[Cut, ...]:
        """The features with channels at the ends of all layers, on branches as well, in the order of the layers."""
        depths, program = _depths(self), self.program
        return tuple(
            Cut(layer.value, index, layer.name, self.features[layer.value], depths[index])
            for index, layer in enumerate(self.layers)
            if self.features[layer.value].kind != "other" and layer.value not in program.outputs
        )

    @functools.cached_property
    def blocks(self) -> tuple[tuple[int, ...], ...]:
        """Indices of the layers between one cut and the next: a lone layer, or a residual block with its branches."""
        ends = [cut.layer for cut in self.cuts]
        starts = [0, *(end + 1 for end in ends)]
        return tuple(tuple(range(a, b + 1)) for a, b in zip(starts, ends, strict=False) if a <= b)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that say which architecture this is, whatever its weights."""
        text = [repr(self.program.inputs), repr(self.program.outputs)]
        text += [f"{a.shape}{a.dtype}" for a in self.program.avals]
        text += [f"{e.primitive}{e.reads}{e.writes}{_canonical(dict(e.params))}" for e in self.program.equations]
        return hashlib.sha256("\n".join(text).encode()).hexdigest()[:16]

    def at(self, batch: int) -> Program:
        """Returns the program traced at a batch size.

        Batch sizes stand inside the equations' parameters, so a network is traced again for each; its equations are the
        same, in the same order, and so are the numbers of its values.

        Raises:
          ValueError: where the network computes something else at that batch size.
        """
        if batch not in self._programs:
            program = _program(self.network, batch)
            if [(e.primitive, e.reads, e.writes) for e in program.equations] != [
                (e.primitive, e.reads, e.writes) for e in self.program.equations
            ]:
                raise ValueError(
                    f"{self.name!r} computes other equations at batch size {batch} than at {TRACED}; "
                    "its apply must not depend on the batch size"
                )
            self._programs[batch] = program
        return self._programs[batch]

    def replay(self, params: PyTree, inputs: PyTree) -> PyTree:
        """Computes what `network.apply` computes, equation by equation; pure, to be jitted.

        Args:
          params: the network's parameters.
          inputs: a batch of inputs.

        Returns:
          The outputs.

        Raises:
          TypeError, ValueError: where params or inputs are not as the network's.
        """
        batch = check_inputs(f"replay of {self.name!r}", self.network.inputs, inputs)
        check_params(f"replay of {self.name!r}", self.network.params, params)
        values = jax.tree.leaves(inputs)
        program = self.at(batch)
        known = {**program.constants, **dict(enumerate(jax.tree.leaves(params)))}
        found = run_equations(program.equations, known | dict(zip(program.inputs, values, strict=True)))
        return jax.tree.unflatten(program.structure, [found[v] for v in program.outputs])


def trace(network: Network) -> NetworkGraph:
    """Reads a network as a graph, without running it.

    Args:
      network: any JAX network.

    Returns:
      Its graph.

    Raises:
      TypeError: where it is no `Network`, or its parameters are no arrays.
      ValueError: where its apply fails, it closes over more than 1 MB, or its outputs have no batch axis.
    """
    if not isinstance(network, Network):
        raise TypeError(
            f"trace: network is a {type(network).__name__}, expected a jaxevo.Network; "
            "make one with jaxevo.from_flax, from_nnx or from_equinox"
        )
    flat, _ = jax.tree_util.tree_flatten_with_path(network.params)
    paths = tuple(path_name(path) for path, _ in flat)
    for path, (_, leaf) in zip(paths, flat, strict=True):
        if not hasattr(leaf, "dtype"):
            raise TypeError(
                f"trace: {path!r} in params of {network.name!r} is {leaf!r}, expected arrays; "
                "keep settings in the function, and make numbers that are learned arrays"
            )
    program, other = _program(network, TRACED), _program(network, _OTHER)
    held = sum(np.asarray(c).nbytes for c in program.constants.values() if hasattr(c, "nbytes"))
    if held > _LARGEST_CONSTANT:
        raise ValueError(
            f"trace: {network.name!r} closes over {held / 2**20:.1f} MB of arrays, expected at most 1 MB; "
            "pass them in its params, else every compiled program holds a copy"
        )
    kinds = features(program, other)
    if any(kinds[v].batch != 0 for v in program.outputs):
        shapes = [list(program.avals[v].shape) for v in program.outputs]
        raise ValueError(
            f"trace: outputs of {network.name!r} have shapes {shapes} at batch size {TRACED}, expected a leading "
            "batch axis on each; return one row per example"
        )
    return NetworkGraph(network, program, kinds, paths, group(program, kinds, paths), {TRACED: program, _OTHER: other})


def check_graph(where: str, name: str, graph: Any) -> None:
    """Raises TypeError, starting with `where`, unless the argument `name` is a `NetworkGraph`."""
    if not isinstance(graph, NetworkGraph):
        raise TypeError(
            f"{where}: {name} is a {type(graph).__name__}, expected a NetworkGraph; make it with jaxevo.trace(network)"
        )


def check_params(where: str, expected: PyTree, params: PyTree) -> None:
    """Raises ValueError, starting with `where`, unless `params` has the structure and the shapes of `expected`."""
    came, wanted = ({path_name(p): np.shape(x) for p, x in jax.tree_util.tree_flatten_with_path(tree)[0]}
                    for tree in (params, expected))  # fmt: skip
    differ = sorted(path for path in came.keys() | wanted.keys() if came.get(path) != wanted.get(path))
    if differ:
        raise ValueError(
            f"{where}: params have {differ[0]!r} of shape {came.get(differ[0])}, expected {wanted.get(differ[0])} "
            "(None: not there); pass a tree of parameters like the network's own"
        )


def path_name(path) -> str:
    """Writes a path into a pytree as names with slashes between them."""
    return "/".join(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path)


def _program(network, batch):
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf), leaf.dtype), network.params)
    try:
        return trace_program(network.apply, shapes, batched(network.inputs, batch))
    except (TypeError, ValueError, LookupError, AttributeError, AssertionError) as error:
        raise ValueError(
            f"trace: apply of {network.name!r} fails at batch size {batch} on inputs {network.inputs}: {error}; "
            "expected a function of (params, inputs) that takes any batch size"
        ) from error


def _through(program: Program) -> set[int]:
    """Values through which every way from the inputs to the outputs leads.

    Every equation leads to an output, so what does not lead through such a value would be alive beside it at its place
    in the order.
    """
    end = len(program.equations)
    last = {v: max((*program.readers.get(v, ()), *((end,) if v in program.outputs else ()))) for v in program.dynamic
            if v in program.outputs or v in program.readers}  # fmt: skip
    alive = {v for v in program.inputs if v in last}
    found = set()
    for index, equation in enumerate(program.equations):
        if equation.writes[0] not in program.dynamic:
            continue
        alive = {v for v in alive | set(equation.writes) if last.get(v, -1) > index}
        if len(alive) == 1:
            found |= alive
    return found


def _depths(graph: NetworkGraph) -> list[float]:
    home = {v: i for i, layer in enumerate(graph.layers) for e in layer.equations
            for v in graph.program.equations[e].writes}  # fmt: skip
    before = [{home.get(v) for v in layer.reads} for layer in graph.layers]
    after = collections.defaultdict(set)
    for index, sources in enumerate(before):
        for source in sources - {None}:
            after[source].add(index)
    outputs = {home[v] for v in graph.program.outputs if v in home}
    to_input, to_output = [0] * len(graph.layers), [0] * len(graph.layers)
    for index in range(len(graph.layers)):
        to_input[index] = 1 + min((0 if s is None else to_input[s] for s in before[index]), default=0)
    for index in reversed(range(len(graph.layers))):
        ways = [1 + to_output[j] for j in after[index]] + ([0] if index in outputs else [])
        to_output[index] = min(ways)
    return [a / (a + b) for a, b in zip(to_input, to_output, strict=True)]


def _canonical(value) -> str:
    """Writes equation parameters without addresses of functions, which differ from run to run."""
    if isinstance(value, core.ClosedJaxpr | core.Jaxpr):
        equations = open_jaxpr(value)[0].eqns
        return repr(
            [(e.primitive.name, [str(v.aval) for v in e.invars], _canonical(dict(e.params))) for e in equations]
        )
    if isinstance(value, Mapping):
        return repr([(str(k), _canonical(value[k])) for k in sorted(value, key=str)])
    if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
        return repr([_canonical(v) for v in value])
    return "function" if callable(value) and not isinstance(value, type) else repr(value)
