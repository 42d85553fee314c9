"""Frozen networks made trainable again, wherever they came from: trained elsewhere, stitched, extracted."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxevo.graph import trace
from jaxevo.graph.normalisations import batch_normalisations
from jaxevo.network import Member, Network, Trainable

PyTree = Any


def thaw(network: Network) -> Trainable:
    """Makes a frozen network trainable, starting from the parameters that it has.

    Its function stays that of inference: whatever `train` says, normalisations use their stored statistics, dropout is
    off, and the state comes back unchanged. That suits a brief fit; to renew the statistics, call
    `evaluation.recalibrate` before or after it.

    Args:
      network: any network.

    Returns:
      A trainable whose `init` draws nothing. `params` and `state` are trees like the network's parameters, each with
      None where the leaf belongs to the other: the statistics of batch normalisations (see
      `jaxevo.graph.batch_normalisations`) and leaves that are no floating numbers are state, all others params.
      `freeze` puts both together again.

    Raises:
      TypeError: where it is no `Network`, or its parameters are no arrays.
      ValueError: where it cannot be traced, or has nothing to learn.
    """
    if not isinstance(network, Network):
        raise TypeError(f"thaw: network is a {type(network).__name__}, expected a jaxevo.Network")
    found = batch_normalisations(trace(network))
    fixed = {statistic.leaf for one in found for statistic in (one.mean, one.variance)}
    leaves, structure = jax.tree.flatten(network.params)
    learned = [i not in fixed and jnp.issubdtype(leaf.dtype, jnp.floating) for i, leaf in enumerate(leaves)]
    if not any(learned):
        raise ValueError(
            f"thaw: {network.name!r} has no parameters that are floating numbers, expected at least one; there is "
            "nothing to train"
        )

    def pick(which):
        kept = [jnp.asarray(leaf) if mine == which else None for leaf, mine in zip(leaves, learned, strict=True)]
        return jax.tree.unflatten(structure, kept)

    def init(key):
        del key
        return pick(True), pick(False)

    def apply(params, state, inputs, key, train):
        del key, train
        return network.apply(_joined(params, state), inputs), state

    return Trainable(init, apply, network.inputs, network.name, network.output, network.classes, network.convention)


def freeze(network: Network, member: Member) -> Network:
    """Returns a network with the parameters that a member of its thawed form has learned.

    Unlike `Trainable.network`, the parameters keep the structure of the network's own, so that it can go where that
    could: back to the library that it came from, or into another system.

    Args:
      network: what `thaw` was given.
      member: a member of `thaw(network)`, as `training.fit` returns it.

    Returns:
      The network with the member's parameters.

    Raises:
      TypeError: where an argument is of the wrong kind.
      ValueError: where the member is none of this network's thawed form.
    """
    if not isinstance(network, Network):
        raise TypeError(f"freeze: network is a {type(network).__name__}, expected a jaxevo.Network")
    if not isinstance(member, Member):
        raise TypeError(f"freeze: member is a {type(member).__name__}, expected a Member; make one with training.start")
    structures = [jax.tree.structure(tree, is_leaf=_is_none) for tree in (network.params, member.params, member.state)]
    if len(set(structures)) != 1:
        raise ValueError(
            f"freeze: member has parameters {structures[1]}, expected {structures[0]}, those of {network.name!r}; pass "
            "a member of training.thaw(network)"
        )
    params = _joined(member.params, member.state)
    shapes = [[jnp.shape(leaf) for leaf in jax.tree.leaves(tree)] for tree in (network.params, params)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"freeze: member has arrays {shapes[1]}, expected {shapes[0]}, those of {network.name!r}; pass a member of "
            "training.thaw(network)"
        )
    return dataclasses.replace(network, params=params)


def _joined(params: PyTree, state: PyTree) -> PyTree:
    return jax.tree.map(lambda one, other: other if one is None else one, params, state, is_leaf=_is_none)


def _is_none(leaf: Any) -> bool:
    return leaf is None
