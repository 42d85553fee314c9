"""Recalibration: the stored statistics of a network's batch normalisations, gathered anew.

A network that was put together or changed feeds its normalisations other features than those whose statistics they
store. B is the batch size, K the number of batches.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.data import Split
from jaxevo.data.batching import check_batch
from jaxevo.graph import NetworkGraph, trace
from jaxevo.graph.normalisations import Normalisation, batch_normalisations
from jaxevo.graph.statistics import check_apart, factor, normalised_by_batch
from jaxevo.network import Network, check_inputs

PyTree = Any


def recalibrate(network: Network, split: Split, *, batch: int = 64, examples: int | None = None) -> Network:
    """Gathers the statistics of a network's batch normalisations on data, and returns the network with them.

    As in training mode, each normalisation uses the mean and variance of the batch while they are gathered, so that one
    pass settles all layers, one after another. What is stored is the mean over batches of means and of second moments,
    less the square of that mean (variances are those of all values, not divided by one less). It is what Izmailov et
    al., "Averaging weights leads to wider optima and better generalization", UAI 2018, section 3.2, do for averaged
    weights.

    Args:
      network: a network with batch normalisations that store statistics, such as a stitched offspring; see
        `jaxevo.graph.batch_normalisations` for which are recognised.
      split: examples like those that the network is for; labels are not looked at.
      batch: B, at least 2; at most as many as there are examples.
      examples: how many examples to use, at least 2; by default all. They are spread evenly over the split, and so are
        those of each batch, so that a split that is sorted by class will do. K B of them are used, whole batches.

    Returns:
      The network with other statistics; everything else is as it was.

    Raises:
      TypeError: where network is no `Network` or split no `Split`.
      ValueError: where there is no such normalisation or one statistic serves two of them, a number is out of range,
        or the examples do not fit the network.
    """
    if not isinstance(network, Network):
        raise TypeError(f"recalibrate: network is a {type(network).__name__}, expected a jaxevo.Network")
    check_batch("recalibrate", split, batch)
    check_inputs(f"recalibrate of {network.name!r}", network.inputs, split.inputs)
    rows = _rows(len(split), batch, examples)
    graph = trace(network)
    found = _check_normalisations(graph)
    program = graph.at(rows.shape[1])
    gather = jax.jit(lambda params, inputs: normalised_by_batch(program, found, params, inputs)[1])

    @jax.jit
    def shares(params):
        return [tuple(factor(graph.program, one, params) for one in (n.mean, n.variance)) for n in found]

    factors = shares(network.params)
    batches = [jax.device_get(gather(network.params, split.inputs[row])) for row in rows]
    leaves, structure = jax.tree.flatten(network.params)
    for index, normalisation in enumerate(found):
        means, variances = (np.array([part[index][which] for part in batches], np.float64) for which in (0, 1))
        statistics = (normalisation.mean, means.mean(0)), (normalisation.variance, variances.mean(0) + means.var(0))
        for (statistic, value), share in zip(statistics, factors[index], strict=True):
            leaves[statistic.leaf] = jnp.asarray(value / np.float64(share), leaves[statistic.leaf].dtype)
    return dataclasses.replace(network, params=jax.tree.unflatten(structure, leaves))


def _rows(count: int, batch: int, examples: int | None) -> np.ndarray:
    """Returns the examples of each batch, [K, B], each spread evenly over all `count`."""
    used = count if examples is None else examples
    for name, value in (("batch", batch), ("examples", used)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 2:
            raise ValueError(f"recalibrate: {name} is {value!r}, expected a whole number of at least 2 for a variance")
    used = min(used, count)
    if used < 2:
        raise ValueError(f"recalibrate: split has {count} examples, expected at least 2 for a variance; pass more")
    batch = min(batch, used)
    batches = used // batch
    return (np.arange(batches * batch) * count // (batches * batch)).reshape(batch, batches).T


def _check_normalisations(graph: NetworkGraph) -> tuple[Normalisation, ...]:
    found = batch_normalisations(graph)
    if not found:
        raise ValueError(
            f"recalibrate: {graph.name!r} has no batch normalisation that stores statistics among its parameters, so "
            "there is nothing to recalibrate; see jaxevo.graph.batch_normalisations"
        )
    check_apart("recalibrate", graph, found)
    return found
