"""Statistics of a batch in place of stored ones: a network replayed as its batch normalisations would train.

B is the batch size.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxevo.graph.normalisations import Normalisation, Statistic
from jaxevo.graph.program import Equation, Program, run_equations
from jaxevo.graph.tracing import NetworkGraph

PyTree = Any


def moments(x: jax.Array, axes: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Returns mean and variance, in float32, along all axes but `axes`, which come in that order.

    The variance is that of all values, divided by their number and not by one less.
    """
    order = (*axes, *(axis for axis in range(x.ndim) if axis not in axes))
    rest = tuple(range(len(axes), x.ndim))
    x = x.astype(jnp.float32).transpose(order)
    return x.mean(rest), x.var(rest)


def normalised_by_batch(
    program: Program, found: Sequence[Normalisation], params: PyTree, inputs: PyTree
) -> tuple[dict[int, Any], list[tuple[jax.Array, jax.Array]]]:
    """Runs a network as far as its last batch normalisation, each with the statistics of the batch; pure.

    Args:
      program: the network's program at batch size B.
      found: its batch normalisations, in the order in which they run.
      params: its parameters.
      inputs: pytree of arrays [B, ...].

    Returns:
      What is known by then, by number of the value, statistics of the batch included, and (mean, variance) of each
      normalisation, of the shape of the leaves that store them.
    """
    values = {**program.constants, **dict(enumerate(jax.tree.leaves(params)))}
    values |= zip(program.inputs, jax.tree.leaves(inputs), strict=True)
    statistics = []
    for one in found:
        # Equations that read a statistic run after it is known: none of them leads to the value it is taken of.
        values = run_equations(missing(program, [one.value], values), values)
        mean, variance = moments(values[one.value], one.axes)
        pair = tuple(
            moment.reshape(program.avals[statistic.leaf].shape)
            for statistic, moment in ((one.mean, mean), (one.variance, variance))
        )
        for statistic, moment in zip((one.mean, one.variance), pair, strict=True):
            values[statistic.value] = moment.astype(program.avals[statistic.value].dtype)
        statistics.append(pair)
    return values, statistics


def factor(program: Program, statistic: Statistic, params: PyTree) -> jax.Array:
    """Returns how often a leaf is contained in the statistic that is used: 1 unless it is debiased; pure."""
    known = {**program.constants, **dict(enumerate(jax.tree.leaves(params)))}
    known[statistic.leaf] = jnp.ones_like(known[statistic.leaf])
    return run_equations(missing(program, [statistic.value], known), known)[statistic.value]


def missing(program: Program, values: Iterable[int], known: Mapping[int, Any]) -> list[Equation]:
    """Lists the equations that still must run before some values are known, in order."""
    needed, stack = set(), list(values)
    while stack:
        value = stack.pop()
        if value not in known and program.producer[value] not in needed:
            needed.add(program.producer[value])
            stack += [operand for operand in program.equations[program.producer[value]].reads if operand is not None]
    return [program.equations[index] for index in sorted(needed)]


def check_apart(where: str, graph: NetworkGraph, found: Sequence[Normalisation]) -> None:
    """Raises ValueError, starting with `where`, unless each statistic serves one normalisation alone."""
    leaves = [statistic.leaf for one in found for statistic in (one.mean, one.variance)]
    shared = [leaf for leaf in leaves if leaves.count(leaf) > 1]
    if shared:
        raise ValueError(
            f"{where}: {graph.paths[shared[0]]!r} of {graph.name!r} is a statistic of several values, expected one "
            "normalisation for each; give every use of the layer statistics of its own"
        )
