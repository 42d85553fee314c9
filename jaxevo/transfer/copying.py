"""Weights copied along alignments: from where to where, what is left as it is and why, and the copying itself."""

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.checks import check_flag, check_weights
from jaxevo.transfer.alignment import Alignment, Pair
from jaxevo.transfer.bridging import Bridge, bridged, bridges
from jaxevo.transfer.companions import Companion
from jaxevo.transfer.kernels import Kernel
from jaxevo.transfer.structure import Unit
from jaxevo.transfer.tensors import Transform, preserve, regrouped, resampled
from jaxevo.transfer.trees import Leaves, leaves_of
from jaxevo.transfer.views import look, put

PyTree = Any

#: Below this coverage of the target, and for layers whose pair is worth less than the square of it, nothing is copied.
#: Of 67 published pairs (arXiv 2212.13970's code) 28 of the 29 that transfer harmed lie below, and 7 of the 38 others.
GUARD = 0.3


class TransferWarning(UserWarning):
    """Says that weights which correspond too little were not copied."""


class Step(NamedTuple):
    """One tensor that is copied.

    target: number of the target's parameter.
    source: number of the source's parameter.
    alignment: index of the alignment that it follows.
    pair: the two layers.
    companions: the two parameters that go with them; None where it is the kernels that are copied.
    """

    target: int
    source: int
    alignment: int
    pair: Pair
    companions: tuple[Companion, Companion] | None


class Plan(NamedTuple):
    """What is copied and what is not.

    steps: the tensors that are copied.
    bridges: by number of the target's parameter, what is set in layers that nothing is copied into.
    kept: by number of the target's parameter, why nothing is copied into it.
    warnings: what the guard says about the networks as a whole.
    """

    steps: tuple[Step, ...]
    bridges: dict[int, Bridge]
    kept: dict[int, str]
    warnings: tuple[str, ...]


def plan(alignments: Sequence[Alignment], guard: float, bridge: bool) -> Plan:
    """Decides what is copied along alignments with the same target.

    Args:
      alignments: one or more; each block of the target takes from the one that covers it best, the first of equals.
      guard, bridge: see `copy_weights`.

    Returns:
      The plan.
    """
    target = alignments[0].target
    steps: list[Step] = []
    kept = dict.fromkeys(range(target.graph.program.leaves), "no layer of the source corresponds to its layer")
    read = target.graph.program.readers.keys() | set(target.graph.program.outputs)
    kept |= {leaf: "the outputs do not depend on it" for leaf in kept if leaf not in read}
    said = []
    allowed = [index for index, one in enumerate(alignments) if one.coverage >= guard]
    for index, one in enumerate(alignments):
        if index not in allowed:
            said.append(
                f"{one.source.graph.name!r} covers {one.coverage:.2f} of {target.graph.name!r}, less than the guard's "
                f"{guard:g}: its weights would not help, so none are copied"
            )
    if not allowed:
        kept |= {leaf: f"guard: the target is covered by less than {guard:g}" for leaf in kept if leaf in read}
    done: set[int] = set()
    refused: set[int] = set()
    for index, pair in _chosen(alignments, allowed):
        reason = _refused(alignments[index], pair, guard)
        if reason is not None:
            refused.add(pair.target.kernel.leaf)
            kept |= {leaf: reason for leaf in _leaves(pair.target) if leaf not in done}
            continue
        for step in _steps(index, pair, kept):
            if step.target not in done or pair.target.kernel.part[1] > 1:
                steps.append(step)
                done.add(step.target)
    between = bridges(target, done, refused) if bridge and done else {}
    kept = {leaf: reason for leaf, reason in kept.items() if leaf not in done}
    return Plan(tuple(steps), between, kept, tuple(said))


def copy_weights(
    alignment: Alignment | Sequence[Alignment],
    source_params: PyTree,
    target_params: PyTree,
    *,
    transform: Transform = preserve,
    guard: float = GUARD,
    bridge: bool = True,
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

    Returns:
      A tree like `target_params`.

    Raises:
      TypeError: where an argument is of the wrong kind.
      ValueError: where trees are not those of the aligned networks, alignments have different targets, or guard is out
        of range.

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
    return filled.tree(_copied(chosen, transform, given, filled))


def _copied(chosen: Plan, transform: Transform, given: Sequence[Leaves], filled: Leaves) -> dict[int, jax.Array]:
    made: dict[int, np.ndarray] = {}
    for step in chosen.steps:
        source = given[step.alignment].arrays.get(step.source)
        target = made.get(step.target, filled.arrays.get(step.target))
        if source is not None and target is not None:
            made[step.target] = _tensor(transform, step, np.asarray(source), np.asarray(target))
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
        at = (
            come
            if (one.grid, come.shape[0]) == (other.grid, go.shape[0])
            else resampled(come, go, (one.grid, other.grid))
        )
        made = transform(at, go, at.ndim)
    else:
        come, go = _alike(come, come.ndim, go, go.ndim)
        made = transform(come, go, come.ndim)
    return put(target, other.moves, made.reshape(look(target, other.moves).shape))


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


def _chosen(alignments: Sequence[Alignment], allowed: Sequence[int]) -> Iterator[tuple[int, Pair]]:
    """Yields the pairs of layers that are followed, each block of the target from the alignment that covers it best."""
    if not allowed:
        return
    count = len(alignments[0].target.bounds) - 1
    best = [max(allowed, key=lambda index: (alignments[index].block_coverage[block], -index)) for block in range(count)]
    for index in allowed:
        for pair in (*alignments[index].pairs, *alignments[index].beside):
            if best[pair.target.block] == index:
                yield index, pair


def _refused(alignment: Alignment, pair: Pair, guard: float) -> str | None:
    """Returns why nothing is copied between two layers, None where it is."""
    source, target = alignment.source.graph, alignment.target.graph
    if pair.target is alignment.target.main[-1]:
        outputs = [unit.kernel.shape[0] for unit in (pair.source, pair.target)]
        if outputs[0] != outputs[1]:
            return f"the last layer has {outputs[1]} outputs, that of the source {outputs[0]}"
        classes = source.network.classes, target.network.classes
        if None not in classes and classes[0] != classes[1]:
            return "the last layer tells other classes apart than that of the source"
    if pair.score < guard**2:
        return f"guard: its layer corresponds to {pair.source.name!r} by {pair.score:.3f}, less than {guard**2:g}"
    return None


def _leaves(unit: Unit) -> list[int]:
    return [unit.kernel.leaf, *(companion.leaf for companion in unit.companions)]


def _steps(index: int, pair: Pair, kept: dict[int, str]) -> Iterator[Step]:
    yield Step(pair.target.kernel.leaf, pair.source.kernel.leaf, index, pair, None)
    known = {companion.role: companion for companion in pair.source.companions}
    for companion in pair.target.companions:
        other = known.get(companion.role)
        if other is None:
            kept[companion.leaf] = f"{pair.source.name!r} has no {companion.kind} {companion.where} its kernel"
        else:
            yield Step(companion.leaf, other.leaf, index, pair, (other, companion))


def check_alignments(where: str, alignment: Any) -> list[Alignment]:
    """Returns the alignments of an argument.

    Raises:
      TypeError: where it is none.
      ValueError: where there is none, or targets differ.
    """
    found = [alignment] if isinstance(alignment, Alignment) else alignment
    if not isinstance(found, Sequence) or not all(isinstance(one, Alignment) for one in found):
        raise TypeError(f"{where}: alignment is {type(alignment).__name__}, expected what transfer.align returns")
    prints = {one.target.graph.fingerprint for one in found} if len(found) > 1 else {""}
    if not found or len(prints) > 1:
        raise ValueError(
            f"{where}: alignment holds {len(found)} alignments with {len(prints)} targets, expected at least one, all "
            "with the same target"
        )
    return list(found)


def check_guard(where: str, guard: Any) -> None:
    """Raises ValueError unless guard is a number in [0, 1]."""
    if isinstance(guard, bool) or not isinstance(guard, int | float) or not 0 <= guard <= 1:
        raise ValueError(f"{where}: guard is {guard!r}, expected a share in [0, 1]; 0 copies everything")
