"""Weights copied along alignments, on the host."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.checks import check_flag, check_weights
from jaxevo.graph.grids import Grid
from jaxevo.transfer.alignment import Alignment
from jaxevo.transfer.layers.companions import Companion
from jaxevo.transfer.layers.kernels import Kernel
from jaxevo.transfer.layers.structure import Blocks
from jaxevo.transfer.layers.views import look, put
from jaxevo.transfer.weights.bridging import bridged
from jaxevo.transfer.weights.inertia import check_inertia, growth
from jaxevo.transfer.weights.planning import GUARD, Plan, Step, check_alignments, check_guard, plan
from jaxevo.transfer.weights.tensors import Transform, preserve, regrouped, resampled
from jaxevo.transfer.weights.trees import Leaves, leaves_of

PyTree = Any


class TransferWarning(UserWarning):
    """Says that weights which correspond too little were not copied."""


def copy_weights(
    alignment: Alignment | Sequence[Alignment],
    source_params: PyTree,
    target_params: PyTree,
    *,
    transform: Transform = preserve,
    guard: float = GUARD,
    bridge: bool = True,
    inertia: float = 1.0,
) -> PyTree:
    """Fills a network with the weights of another one, or of several, on the host and without running either.

    Kernels and what goes with them (biases, scales, shifts, statistics of normalisations) are cropped and padded at the
    middle of each axis; heads of attention and groups of channels are kept apart; positions are interpolated. A last
    layer is copied only where it has as many outputs, and the same classes where both name them. Layers that nothing
    corresponds to hand on what they read (`bridge`).

    Args:
      alignment: from `align`; of several with the same target, each block takes from the one that covers it best.
      source_params: parameters of the source, a tree like `Network.params` or the "params" in it alone; as many trees
        as there are alignments where these are a sequence.
      target_params: freshly drawn parameters of the target, likewise. Of a `Trainable`, `{"params": params, "state":
        state}`, or `params` alone, when statistics of normalisations stay as they are.
      transform: how a tensor becomes one of another size; `transfer.clip` is the published one.
      guard: where less than this share of the target is covered, in [0, 1], nothing is copied from that source, and
        layers whose pair is worth less than its square keep their own numbers; 0 copies everything.
      bridge: whether layers that nothing corresponds to are set so that what the others compute comes through: residual
        branches end in zeros, other layers of the main path are the identity; else they stay as they are.
      inertia: by how much kernels are enlarged, with their statistics, that go through a batch normalisation, in
        [1, 1000]: outputs stay what they are, but for its epsilon, and a step of Adam turns them by 1 / inertia, one of
        plain gradients by 1 / inertia^2 of the angle. For a rate at which a random beginning learns fast, and which
        would soon overwrite what was copied. Where `target_params` holds no statistics nothing is enlarged.

    Returns:
      A tree like `target_params`.

    Raises:
      TypeError: where an argument is of the wrong kind.
      ValueError: where trees are not those of the aligned networks, alignments have different targets, or guard or
        inertia is out of range.

    Warns:
      TransferWarning: where the guard keeps a source's weights back.
    """
    alignments, sources = check_alignments("copy_weights", alignment), source_params
    if isinstance(alignment, Alignment):
        sources = [source_params]
    elif not isinstance(source_params, Sequence) or len(source_params) != len(alignments):
        raise ValueError(
            f"copy_weights: source_params is {type(source_params).__name__}, expected a sequence of {len(alignments)} "
            "trees, one for each alignment"
        )
    check_guard("copy_weights", guard)
    check_flag("copy_weights", "bridge", bridge)
    check_inertia("copy_weights", inertia)
    if not callable(transform):
        raise TypeError(f"copy_weights: transform is {transform!r}, expected a function, such as transfer.preserve")
    filled = leaves_of("copy_weights", "target_params", alignments[0].target.graph, target_params)
    given = [
        leaves_of("copy_weights", "source_params", one.source.graph, tree)
        for one, tree in zip(alignments, sources, strict=True)
    ]
    for tree in sources:
        check_weights("copy_weights", "source_params", tree)
    chosen = plan(alignments, guard, bridge)
    for text in chosen.warnings:
        warnings.warn(text, TransferWarning, stacklevel=2)
    return filled.tree(_copied(chosen, transform, given, filled, inertia, alignments[0].target))


def _copied(
    chosen: Plan, transform: Transform, given: Sequence[Leaves], filled: Leaves, inertia: float, target: Blocks
) -> dict[int, jax.Array]:
    made: dict[int, np.ndarray] = {}
    steps = [
        step for step in chosen.steps if step.source in given[step.alignment].arrays and step.target in filled.arrays
    ]
    growing = growth(target, {step.target for step in steps}, inertia)
    for step in steps:
        source = np.asarray(given[step.alignment].arrays[step.source])
        # What is copied grows before it is cropped and padded: what a larger target has beyond it learns as it did.
        if step.target in growing:
            source = source * np.asarray(growing[step.target], source.dtype)
        made[step.target] = _tensor(
            transform, step, source, made.get(step.target, np.asarray(filled.arrays[step.target]))
        )
    for leaf, bridge in chosen.bridges.items():
        if leaf in filled.arrays:
            made[leaf] = bridged(bridge, np.asarray(filled.arrays[leaf]))
    return {leaf: jnp.asarray(array, filled.arrays[leaf].dtype) for leaf, array in made.items()}


def _tensor(transform: Transform, step: Step, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    one, other = (step.pair.source.kernel, step.pair.target.kernel) if step.companions is None else step.companions
    come, go = look(source, one.moves), look(target, other.moves)
    if isinstance(one, Kernel) and isinstance(other, Kernel):
        made = _kernel(transform, one, other, come, go)
    elif isinstance(one, Companion) and isinstance(other, Companion) and other.kind == "positions":
        made = _positions(transform, come, go, (one.grid, other.grid))
    else:
        come, go = _alike(come, come.ndim, go, go.ndim)
        made = transform(come, go, come.ndim)
    return put(target, other.moves, made.reshape(look(target, other.moves).shape))


def _positions(
    transform: Transform, come: np.ndarray, go: np.ndarray, grids: tuple[Grid | None, Grid | None]
) -> np.ndarray:
    if (grids[0], len(come)) == (grids[1], len(go)):
        return transform(come, go, come.ndim)
    rows, values = resampled(come, len(go), grids)
    made = np.array(go)
    made[rows] = transform(values, go[rows], values.ndim)
    return made


def _kernel(transform: Transform, one: Kernel, other: Kernel, come: np.ndarray, go: np.ndarray) -> np.ndarray:
    come, go = (array.reshape(*k.outs, *k.ins, *_space(k, one, other)) for array, k in ((come, one), (go, other)))
    if one.groups != other.groups and not (one.depthwise and other.depthwise):
        come, go = (_merged(array, k, 1, 1) for array, k in ((come, one), (go, other)))
        return regrouped(transform, come, go, (one.groups, other.groups))
    if one.groups > 1 and not (one.depthwise and other.depthwise):
        come, go = (array.reshape(k.groups, -1, *array.shape[1:]) for array, k in ((come, one), (go, other)))
        return transform(come, go, 2)
    outs = len(one.outs) if len(one.outs) == len(other.outs) else 1
    if len(one.outs) != len(other.outs) or len(one.ins) != len(other.ins):
        inner = len(one.ins) if len(one.ins) == len(other.ins) else 1
        come, go = (_merged(array, k, outs, inner) for array, k in ((come, one), (go, other)))
    return transform(come, go, outs)


def _merged(array: np.ndarray, kernel: Kernel, outs: int, ins: int) -> np.ndarray:
    """Joins the factors of outputs or inputs where the other kernel has another number of them."""
    first = kernel.outs if outs == len(kernel.outs) else (math.prod(kernel.outs),)
    second = kernel.ins if ins == len(kernel.ins) else (math.prod(kernel.ins),)
    return array.reshape(*first, *second, *array.shape[len(kernel.outs) + len(kernel.ins) :])


def _space(kernel: Kernel, one: Kernel, other: Kernel) -> tuple[int, ...]:
    return (1,) * (max(len(one.space), len(other.space)) - len(kernel.space)) + kernel.space


def _alike(come: np.ndarray, outs: int, go: np.ndarray, others: int) -> tuple[np.ndarray, np.ndarray]:
    return (come, go) if outs == others else (come.reshape(-1), go.reshape(-1))
