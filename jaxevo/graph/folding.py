"""Folding for inference: biases, normalisations and scales multiplied into the layer before them, once and for all.

Behind a convolution or a product `y = K x`, all that is added to y or multiplies it, depends on the parameters alone
and is the same at all places of a channel is one map `a y + b`: the layer with kernel `a K` and bias b computes it too
(for batch normalisation arXiv 1712.05877, section 3.2).
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from jaxevo.graph.program import Equation, Program, evaluate_equation, run_equations
from jaxevo.graph.statistics import missing
from jaxevo.graph.tracing import NetworkGraph, check_params, trace
from jaxevo.network import Network, check_inputs

PyTree = Any


class _Layer(NamedTuple):
    """A convolution or product whose kernel does not depend on the inputs.

    equation: its index.
    axis: axis of the kernel that holds the output channels.
    channel: axis of the output that holds them.
    """

    equation: int
    axis: int
    channel: int


class _Fold(NamedTuple):
    """A layer and what is folded into it.

    layer: the layer.
    chain: indices of the equations that go, in order.
    scale, shift: what they amount to, one number for each channel, in float64.
    """

    layer: _Layer
    chain: tuple[int, ...]
    scale: np.ndarray
    shift: np.ndarray


def fold(network: Network) -> Network:
    """Folds biases, normalisations and scales into the convolutions and products before them, for inference.

    There is no way back: the kernels are others, and the statistics of the normalisations are gone. Fold last, what is
    to be trained, stitched or recalibrated should stay as it is.

    Args:
      network: any JAX network.

    Returns:
      A network whose outputs agree to 1e-5 relative, with the parameters `{"folded": {path of the kernel: {"kernel":
      array, "bias": array [channels]}}, "kept": {path: array}}`.

    Raises:
      TypeError: where it is no `Network`.
      ValueError: where it cannot be traced.
    """
    graph = trace(network)
    program, leaves = graph.program, jax.tree.leaves(network.params)
    values = _static_values(program, leaves)
    folds = dict(_named(graph, _folds(program, values)))
    parameters = {
        "folded": {name: _weights(program, one, values) for name, one in folds.items()},
        "kept": {graph.paths[leaf]: leaves[leaf] for leaf in _kept(program, folds.values())},
    }
    numbers = {path: leaf for leaf, path in enumerate(graph.paths)}

    def apply(params, inputs):
        where = f"folded {network.name!r}"
        batch = check_inputs(where, network.inputs, inputs)
        check_params(where, parameters, params)
        program = graph.at(batch)
        known = {**program.constants, **{numbers[path]: leaf for path, leaf in params["kept"].items()}}
        known |= zip(program.inputs, jax.tree.leaves(inputs), strict=True)
        moving = {i for i, equation in enumerate(program.equations) if equation.writes[0] in program.dynamic}
        before = missing(program, _read_besides(program, folds.values()), known)
        equations = [*before, *(program.equations[i] for i in sorted(moving))]
        found = run_equations(equations, known, _overrides(program, folds, params["folded"]))
        return jax.tree.unflatten(program.structure, [found[value] for value in program.outputs])

    return dataclasses.replace(network, apply=apply, params=parameters)


def _static_values(program: Program, leaves: list) -> dict[int, Any]:
    """Returns all that does not depend on the inputs, by number."""
    static = [equation for equation in program.equations if equation.writes[0] not in program.dynamic]
    return run_equations(static, {**program.constants, **dict(enumerate(leaves))})


def _folds(program: Program, values: Mapping[int, Any]) -> list[_Fold]:
    """Finds all layers with something behind them that can be folded."""
    layers = (_layer(program, index) for index in range(len(program.equations)))
    folds = (_chain(program, layer, values) for layer in layers if layer is not None)
    return [one for one in folds if one.chain]


def _layer(program: Program, index: int) -> _Layer | None:
    equation = program.equations[index]
    if equation.primitive not in ("conv_general_dilated", "dot_general"):
        return None
    left, right = equation.reads
    if left not in program.dynamic or right is None or right in program.dynamic:
        return None
    if not jnp.issubdtype(program.avals[right].dtype, jnp.floating):
        return None
    params, rank = equation.params, len(program.avals[equation.writes[0]].shape)
    if equation.primitive == "conv_general_dilated":
        numbers = params["dimension_numbers"]
        return _Layer(index, numbers.rhs_spec[0], numbers.out_spec[1]) if params["batch_group_count"] == 1 else None
    (_, summed), (_, batch) = params["dimension_numbers"]
    free = [axis for axis in range(len(program.avals[right].shape)) if axis not in summed]
    return _Layer(index, free[0], rank - 1) if len(free) == 1 and not batch else None


def _chain(program: Program, layer: _Layer, values: Mapping[int, Any]) -> _Fold:
    """Follows a layer's output as long as it is only scaled and shifted, channel by channel."""
    value = program.equations[layer.equation].writes[0]
    aval = program.avals[value]
    scale, shift = np.ones(aval.shape[layer.channel]), np.zeros(aval.shape[layer.channel])
    chain = []
    while value not in program.outputs and len(program.readers.get(value, ())) == 1:
        index = program.readers[value][0]
        equation = program.equations[index]
        if equation.primitive not in ("add", "sub", "mul", "div") or equation.reads.count(value) != 1:
            break
        first = equation.reads[0] == value
        other = _per_channel(program, equation, 1 if first else 0, values, layer.channel)
        result = program.avals[equation.writes[0]]
        if other is None or (result.shape, result.dtype) != (aval.shape, aval.dtype):
            break
        if equation.primitive == "div" and not first:
            break
        scale, shift = _then(equation.primitive, first, scale, shift, other)
        chain.append(index)
        value = equation.writes[0]
    return _Fold(layer, tuple(chain), scale, shift)


def _then(primitive: str, first: bool, scale: np.ndarray, shift: np.ndarray, other: np.ndarray):
    """Returns the map `scale y + shift` with one more equation behind it; `first`: y is its first operand."""
    if primitive == "add":
        return scale, shift + other
    if primitive == "sub":
        return (scale, shift - other) if first else (-scale, other - shift)
    return (scale * other, shift * other) if primitive == "mul" else (scale / other, shift / other)


def _per_channel(
    program: Program, equation: Equation, operand: int, values: Mapping[int, Any], channel: int
) -> np.ndarray | None:
    """Returns an operand as one number for each channel, None where it is more than that or depends on the inputs."""
    number = equation.reads[operand]
    if number in program.dynamic:
        return None
    if number is None:
        literal = equation.source.invars[operand]
        assert isinstance(literal, core.Literal)
        return np.asarray(literal.val, np.float64)
    array = np.asarray(values[number], np.float64)
    if array.ndim == 0:
        return array
    rows = np.moveaxis(array, channel, -1).reshape(-1, array.shape[channel])
    return rows[0] if (rows == rows[:1]).all() else None


def _named(graph: NetworkGraph, folds: list[_Fold]) -> list[tuple[str, _Fold]]:
    """Names each fold by the largest parameter that its kernel is made of; uses of a tied one are counted."""
    program, named, seen = graph.program, [], {}
    for one in folds:
        leaves = _leaves(program, [_kernel(program, one)])
        largest = max(leaves, key=lambda leaf: math.prod(program.avals[leaf].shape), default=None)
        name = "constant" if largest is None else graph.paths[largest]
        seen[name] = seen.get(name, 0) + 1
        named.append((name if seen[name] == 1 else f"{name} ({seen[name]})", one))
    return named


def _weights(program: Program, one: _Fold, values: Mapping[int, Any]) -> dict[str, jax.Array]:
    kernel = values[_kernel(program, one)]
    shape = [-1 if axis == one.layer.axis else 1 for axis in range(kernel.ndim)]
    scaled = np.asarray(kernel, np.float64) * one.scale.reshape(shape)
    return {"kernel": jnp.asarray(scaled, kernel.dtype), "bias": jnp.asarray(one.shift, kernel.dtype)}


def _kernel(program: Program, one: _Fold) -> int:
    number = program.equations[one.layer.equation].reads[1]
    assert number is not None
    return number


def _read_besides(program: Program, folds: Iterable[_Fold]) -> list[int]:
    """Lists the values without inputs that what is left of the network reads."""
    layers = {one.layer.equation for one in folds}
    gone = {index for one in folds for index in one.chain}
    read = [
        value
        for index, equation in enumerate(program.equations)
        if equation.writes[0] in program.dynamic and index not in gone
        for value in (equation.reads[:1] if index in layers else equation.reads)
    ]
    return [v for v in dict.fromkeys((*read, *program.outputs)) if v is not None and v not in program.dynamic]


def _kept(program: Program, folds: Iterable[_Fold]) -> list[int]:
    """Lists the parameter leaves that what is left of the network needs."""
    return _leaves(program, _read_besides(program, folds))


def _leaves(program: Program, values: list[int]) -> list[int]:
    known = {**program.constants, **dict.fromkeys(range(program.leaves))}
    read = [v for equation in missing(program, values, known) for v in equation.reads if v is not None]
    return sorted({value for value in (*values, *read) if value < program.leaves})


def _overrides(program: Program, folds: Mapping[str, _Fold], weights: Mapping[str, Mapping[str, jax.Array]]):
    """Returns the folded layers, and for each equation that goes a function that hands its operand on."""
    overrides = {}
    for name, one in folds.items():
        equation = program.equations[one.layer.equation]
        overrides[equation.writes[0]] = _folded_layer(equation, one.layer.channel, weights[name])
        for index in one.chain:
            reads = [value for value in program.equations[index].reads if value is not None]
            moving = next(place for place, value in enumerate(reads) if value in program.dynamic)
            overrides[program.equations[index].writes[0]] = lambda *operands, moving=moving: [operands[moving]]
    return overrides


def _folded_layer(equation: Equation, channel: int, weights: Mapping[str, jax.Array]):
    def layer(x, _):
        (y,) = evaluate_equation(equation, [x, weights["kernel"]])
        return [y + weights["bias"].reshape([-1 if axis == channel else 1 for axis in range(y.ndim)])]

    return layer
