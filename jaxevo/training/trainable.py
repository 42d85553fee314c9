"""Networks made trainable, wherever they came from: imported, stitched, extracted."""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxevo.graph import NetworkGraph, trace
from jaxevo.graph.normalisations import Normalisation, batch_normalisations
from jaxevo.graph.program import run_equations
from jaxevo.graph.statistics import check_apart, factor, missing, normalised_by_batch
from jaxevo.network import Member, Network, Trainable

PyTree = Any


def as_trainable(
    network: Network, normalisation: Literal["frozen", "batch"] = "frozen", *, momentum: float = 0.9
) -> Trainable:
    """Makes a network trainable, starting from the parameters that it has.

    Its function stays that of inference, dropout off. With frozen normalisation that holds whatever `train` says, and
    the state comes back unchanged: it suits a brief fit, and `evaluation.recalibrate` renews the statistics before or
    after it. With the statistics of the batch, its batch normalisations train as those of Flax do (arXiv 1502.03167,
    algorithm 1): with `train=True` each uses mean and variance of the batch, gradients flow through both, and the
    state moves to `momentum * stored + (1 - momentum) * batch`. Stored is the variance of all values, divided by their
    number, as Flax, Haiku, Equinox and ONNX store it; PyTorch alone divides by one less.

    Args:
      network: any network.
      normalisation: "frozen" or "batch", what its batch normalisations use while it trains.
      momentum: share of the stored statistics that a step keeps, in [0, 1); used with "batch" only.

    Returns:
      A trainable whose `init` draws nothing. `params` and `state` are trees like the network's parameters, each with
      None where the leaf belongs to the other: the statistics of batch normalisations (see
      `jaxevo.graph.batch_normalisations`), leaves that are no floating numbers and leaves that the outputs do not
      depend on are state, all others params. `freeze` puts both together again. What a library keeps for its own
      training beside the statistics that inference reads, such as Haiku's `hidden`, stays as it is.

    Raises:
      TypeError: where it is no `Network`, or its parameters are no arrays.
      ValueError: where it cannot be traced or has nothing to learn; with "batch", where it has no batch normalisation
        that stores statistics, as after folding, or one statistic serves two of them; where normalisation or momentum
        is out of range.
    """
    _check_arguments(network, normalisation, momentum)
    graph = trace(network)
    found = batch_normalisations(graph)
    if normalisation == "batch":
        _check_normalisations(graph, found)
    fixed = {statistic.leaf for one in found for statistic in (one.mean, one.variance)}
    read = graph.program.readers.keys() | set(graph.program.outputs)
    leaves, structure = jax.tree.flatten(network.params)
    learned = [i in read - fixed and jnp.issubdtype(leaf.dtype, jnp.floating) for i, leaf in enumerate(leaves)]
    if not any(learned):
        raise ValueError(
            f"as_trainable: {network.name!r} has no parameters that are floating numbers and lead to an output, "
            "expected at least one; there is nothing to train"
        )

    def pick(leaves, which):
        return jax.tree.unflatten(
            structure, [leaf if mine == which else None for leaf, mine in zip(leaves, learned, strict=True)]
        )

    def init(key):
        del key
        arrays = [jnp.asarray(leaf) for leaf in leaves]
        return pick(arrays, True), pick(arrays, False)

    def apply(params, state, inputs, key, train):
        del key
        joined = _joined(params, state)
        if not train or normalisation == "frozen":
            return network.apply(joined, inputs), state
        outputs, moved = _train_step(graph, found, momentum, joined, inputs)
        return outputs, pick(jax.tree.leaves(moved), False)

    return Trainable(init, apply, network.inputs, network.name, network.output, network.classes, network.convention)


def _train_step(
    graph: NetworkGraph, found: tuple[Normalisation, ...], momentum: float, params: PyTree, inputs: PyTree
) -> tuple[PyTree, PyTree]:
    """Returns the outputs with the statistics of the batch, and the parameters with running statistics moved."""
    program = graph.at(jax.tree.leaves(inputs)[0].shape[0])
    values, statistics = normalised_by_batch(program, found, params, inputs)
    values = run_equations(missing(program, program.outputs, values), values)
    leaves, structure = jax.tree.flatten(params)
    for one, pair in zip(found, statistics, strict=True):
        for statistic, moment in zip((one.mean, one.variance), pair, strict=True):
            stored = leaves[statistic.leaf]
            # Of the statistic that is used, which may be the leaf times a number: Equinox debiases when it reads.
            fresh = moment / factor(program, statistic, params)
            leaves[statistic.leaf] = (momentum * stored + (1 - momentum) * fresh).astype(stored.dtype)
    outputs = jax.tree.unflatten(program.structure, [values[v] for v in program.outputs])
    return outputs, jax.tree.unflatten(structure, leaves)


def freeze(network: Network, member: Member) -> Network:
    """Returns a network with the parameters that a member of its trainable form has learned.

    Unlike `Trainable.network`, the parameters keep the structure of the network's own, so that it can go where that
    could: back to the library that it came from, or into another system.

    Args:
      network: what `as_trainable` was given.
      member: a member of `as_trainable(network)`, as `training.fit` returns it.

    Returns:
      The network with the member's parameters.

    Raises:
      TypeError: where an argument is of the wrong kind.
      ValueError: where the member is none of this network's trainable form.
    """
    if not isinstance(network, Network):
        raise TypeError(f"freeze: network is a {type(network).__name__}, expected a jaxevo.Network")
    if not isinstance(member, Member):
        raise TypeError(f"freeze: member is a {type(member).__name__}, expected a Member; make one with training.start")
    structures = [jax.tree.structure(tree, is_leaf=_is_none) for tree in (network.params, member.params, member.state)]
    if len(set(structures)) != 1:
        raise ValueError(
            f"freeze: member has parameters {structures[1]}, expected {structures[0]}, those of {network.name!r}; pass "
            "a member of jaxevo.as_trainable(network)"
        )
    params = _joined(member.params, member.state)
    shapes = [[jnp.shape(leaf) for leaf in jax.tree.leaves(tree)] for tree in (network.params, params)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"freeze: member has arrays {shapes[1]}, expected {shapes[0]}, those of {network.name!r}; pass a member of "
            "jaxevo.as_trainable(network)"
        )
    return dataclasses.replace(network, params=params)


def _check_arguments(network: Any, normalisation: Any, momentum: Any) -> None:
    if not isinstance(network, Network):
        raise TypeError(f"as_trainable: network is a {type(network).__name__}, expected a jaxevo.Network")
    if normalisation not in ("frozen", "batch"):
        raise ValueError(
            f"as_trainable: normalisation is {normalisation!r}, expected 'frozen', the stored statistics, or 'batch', "
            "those of each batch"
        )
    if isinstance(momentum, bool) or not isinstance(momentum, int | float) or not 0 <= momentum < 1:
        raise ValueError(f"as_trainable: momentum is {momentum!r}, expected a number in [0, 1), such as 0.9")


def _check_normalisations(graph: NetworkGraph, found: tuple[Normalisation, ...]) -> None:
    if not found:
        raise ValueError(
            f"as_trainable: normalisation is 'batch', but {graph.name!r} has no batch normalisation that stores "
            "statistics among its parameters: it never had one, or it was folded into another layer; pass "
            "normalisation='frozen', or bring the network in before anything is folded"
        )
    check_apart("as_trainable", graph, found)


def _joined(params: PyTree, state: PyTree) -> PyTree:
    return jax.tree.map(lambda one, other: other if one is None else one, params, state, is_leaf=_is_none)


def _is_none(leaf: Any) -> bool:
    return leaf is None
