"""A fast replay: a network whose equations are computed the way that is fastest on a platform.

Nothing is rewritten but how convolutions are computed, in which order the axes of features lie, and how many examples
run at a time. Which platform has which rewrites is decided here and nowhere else; on accelerators, where none was
measured to help, the replay is the plain one, bit for bit.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax

from jaxevo.checks import check_function
from jaxevo.graph.convolutions import fast_convolution
from jaxevo.graph.layouts import Held, hold, orders, plain, run_held
from jaxevo.graph.program import Program, run_equations, trace_program
from jaxevo.graph.tracing import TRACED, NetworkGraph, check_params, trace
from jaxevo.network import Network, check_inputs

PyTree = Any

#: Platforms that a replay can be made for, and how each computes a convolution, None for XLA's own way.
PLATFORMS = {"cpu": fast_convolution, "gpu": None, "cuda": None, "rocm": None, "tpu": None}

#: Bytes that the largest feature may have on a CPU; a batch in which it is larger runs in parts.
# EfficientNet-Lite0 at 224 pixels, batch 16, two busy cores, best of 7 turns: 0.48 s by 1 example, 0.27 by 2, 0.49 by 4
# and 1.09 undivided, with 33, 33, 52 and 168 MB of memory besides the parameters. The likely reasons, not measured
# apart: features stay in the cache, and the allocator keeps so little memory instead of asking for it in every call.
_LARGEST_FEATURE = 10 * 2**20


def accelerate(network: Network, platform: str | None = None) -> Network:
    """Returns a network that computes the same, with its equations rewritten for a platform.

    On a CPU, depthwise convolutions become shifted products, 1x1 ones matrix products and narrow groups dense
    convolutions (`fast_convolution`), features are held with their channels last, and a batch runs in equal parts that
    fit the cache. The last takes for granted that the examples of a batch do not depend on one another; a network in
    which any value loses its batch axis runs its batches whole. Elsewhere the network is replayed as it is.

    Args:
      network: any JAX network.
      platform: "cpu", "gpu" or "tpu", by default that of JAX's default backend.

    Returns:
      A network with the same parameters, whose outputs agree to 1e-5 relative on a CPU and are the same bits elsewhere.

    Raises:
      TypeError: where it is no `Network`.
      ValueError: where it cannot be traced, or the platform is not known.
    """
    convolve = PLATFORMS[_check_platform("accelerate", platform)]
    graph = trace(network)
    if convolve is None:
        return dataclasses.replace(network, apply=graph.replay)
    largest = _largest_feature(graph)

    def apply(params, inputs):
        where = f"replay of {network.name!r}"
        batch = check_inputs(where, network.inputs, inputs)
        check_params(where, network.params, params)
        rows = batch if largest is None else _rows(batch, largest)
        program = graph.at(rows)
        known = _known(program, params)
        moving = [equation for equation in program.equations if equation.writes[0] in program.dynamic]

        def some(leaves):
            given = dict(zip(program.inputs, leaves, strict=True))
            found = run_held(moving, known | given, convolve)
            return [plain(found[value]) for value in program.outputs]

        outputs = _in_parts(some, jax.tree.leaves(inputs), batch, rows)
        return jax.tree.unflatten(program.structure, outputs)

    return dataclasses.replace(network, apply=apply)


def accelerated(function: Callable[..., PyTree], platform: str | None = None) -> Callable[..., PyTree]:
    """Returns a function that computes the same, its convolutions rewritten for a platform as `accelerate` does.

    For parts of networks: batches run whole, and values are handed over in their own order of axes.

    Args:
      function: pure function of pytrees of arrays.
      platform: as in `accelerate`.

    Raises:
      ValueError: where the platform is not known.
    """
    check_function("accelerated", "function", function, "(params, inputs) -> outputs")
    convolve = PLATFORMS[_check_platform("accelerated", platform)]
    if convolve is None:
        return function

    def apply(*arguments):
        program = trace_program(lambda _, given: function(*given), (), arguments)
        known = {**program.constants, **dict(zip(program.inputs, jax.tree.leaves(arguments), strict=True))}
        found = run_held(program.equations, known, convolve)
        return jax.tree.unflatten(program.structure, [plain(found[value]) for value in program.outputs])

    return apply


def _check_platform(where: str, platform: str | None) -> str:
    platform = jax.default_backend() if platform is None else platform
    if platform not in PLATFORMS:
        raise ValueError(
            f"{where}: platform is {platform!r}, expected one of {', '.join(map(repr, PLATFORMS))}; "
            "leave it out for the one that JAX runs on"
        )
    return platform


def _largest_feature(graph: NetworkGraph) -> int | None:
    """Returns the bytes of the largest feature of one example, None where a value belongs to no single example."""
    program, dynamic = graph.program, graph.program.dynamic
    if any(graph.features[value].batch is None for value in dynamic):
        return None
    sizes = (math.prod(program.avals[value].shape) * program.avals[value].dtype.itemsize for value in dynamic)
    return max(sizes) // TRACED


def _rows(batch: int, largest: int) -> int:
    """Returns how many examples run at a time: equal parts need one program."""
    most = min(batch, max(1, _LARGEST_FEATURE // largest))
    return next(rows for rows in range(most, 0, -1) if batch % rows == 0)


def _known(program: Program, params: PyTree) -> dict[int, Any]:
    """Returns what does not depend on the inputs, kernels as `fast_convolution` takes them: once for all parts."""
    static = [equation for equation in program.equations if equation.writes[0] not in program.dynamic]
    known = run_equations(static, {**program.constants, **dict(enumerate(jax.tree.leaves(params)))})
    for equation in program.equations:
        if equation.primitive == "conv_general_dilated" and equation.reads[1] in known:
            _, order, _ = orders(equation)
            known[equation.reads[1]] = Held(hold(known[equation.reads[1]], order), order)
    return known


def _in_parts(function, leaves: list, batch: int, rows: int) -> list:
    if rows == batch:
        return function(leaves)
    parts = jax.lax.map(function, [leaf.reshape(-1, rows, *leaf.shape[1:]) for leaf in leaves])
    return [part.reshape(batch, *part.shape[2:]) for part in parts]
