"""What equations cost, in multiply-adds."""

import math
from collections.abc import Mapping
from typing import Any

from jax.extend import core

from jaxevo.graph.program import Program, open_jaxpr


def multiply_adds(program: Program, equations: list[int] | None = None) -> int:
    """Counts the multiply-adds of the convolutions and products that depend on the inputs.

    Elementwise work, normalisations and what can be folded beforehand count nothing, as is usual. `scan` counts its
    body as often as it runs, `cond` its dearest branch; the body of a `while`, whose number of turns is not known,
    counts once. Transposed convolutions count what they multiply, not the zeros that they spread their inputs with.

    Args:
      program: a program.
      equations: indices of the equations to count, by default all.

    Returns:
      Multiply-adds for the whole batch that the program was traced with.

    Raises:
      TypeError: where it is no `Program`.
    """
    if not isinstance(program, Program):
        raise TypeError(
            f"multiply_adds: program is a {type(program).__name__}, expected a Program; of a NetworkGraph take its "
            "multiply_adds"
        )
    chosen = range(len(program.equations)) if equations is None else equations
    return sum(
        _equation(program.equations[i].source)
        for i in chosen
        if any(v in program.dynamic for v in program.equations[i].reads)
    )


def _equation(eqn) -> int:
    name, params = eqn.primitive.name, eqn.params
    if name == "conv_general_dilated":
        kernel, spec = eqn.invars[1].aval.shape, params["dimension_numbers"].rhs_spec
        came, made = eqn.invars[0].aval.shape, eqn.outvars[0].aval.shape
        places = [(came if of_input else made)[axis] for of_input, axis in positions(params)]
        # The input axis of the kernel already holds channels per group.
        return math.prod(places) * kernel[spec[1]] * math.prod(kernel[i] for i in spec[2:])
    if name == "dot_general":
        (summed, _), _ = params["dimension_numbers"]
        return math.prod(eqn.outvars[0].aval.shape) * math.prod(eqn.invars[0].aval.shape[i] for i in summed)
    if name == "scan":
        return params["length"] * _jaxpr(params["jaxpr"])
    if name == "cond":
        return max(_jaxpr(branch) for branch in params["branches"])
    return sum(_jaxpr(inner) for inner in params.values() if isinstance(inner, core.ClosedJaxpr | core.Jaxpr))


def positions(params: Mapping[str, Any]) -> list[tuple[bool, int]]:
    """Returns the axes that count how often a convolution uses its kernel: batch, output channels and space.

    Where a transposed convolution spreads its input, each element of the input meets the kernel once, and the zeros
    between them are no work: there the axis of the input counts, elsewhere that of the output.

    Args:
      params: what the primitive is bound with.

    Returns:
      For each axis, whether it is the input's, and its index.
    """
    numbers = params["dimension_numbers"]
    spatial = zip(numbers.lhs_spec[2:], numbers.out_spec[2:], params["lhs_dilation"], strict=True)
    return [
        *((False, axis) for axis in numbers.out_spec[:2]),
        *((True, came) if spread > 1 else (False, made) for came, made, spread in spatial),
    ]


def _jaxpr(jaxpr) -> int:
    return sum(_equation(eqn) for eqn in open_jaxpr(jaxpr)[0].eqns)
