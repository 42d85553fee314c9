"""Which parameters of a network are mutated, laid out as one vector of coordinates.

N is the number of coordinates, L that of leaves that are mutated.
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.graph import NetworkGraph, batch_normalisations

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The leaves of a network's parameters that are mutated; coordinates number their entries, leaf after leaf.

    leaves: numbers of the leaves.
    layers: index of the layer of the graph that first reads each.
    shapes: shape of each.
    dtype: of the vector of all coordinates.
    """

    leaves: tuple[int, ...]
    layers: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtype: Any

    @property
    def sizes(self) -> list[int]:
        """Number of coordinates in each leaf."""
        return [int(np.prod(shape)) for shape in self.shapes]

    @property
    def offsets(self) -> np.ndarray:
        """First coordinate of each leaf, and N: int32 [L + 1]."""
        return np.array([0, *itertools.accumulate(self.sizes)], np.int32)

    @property
    def count(self) -> int:
        """The number N of coordinates."""
        return sum(self.sizes)

    def leaf_of(self, coordinates: jax.Array) -> jax.Array:
        """Returns which of the L leaves each coordinate lies in; L - 1 for those past the end."""
        found = jnp.searchsorted(self.offsets[1:], coordinates, side="right")
        return jnp.minimum(found, len(self.leaves) - 1)

    def flatten(self, params: PyTree) -> jax.Array:
        """Returns the mutated parameters as one vector [N]; on the host, since XLA compiles it leaf by leaf."""
        leaves = jax.tree.leaves(params)
        return jnp.asarray(np.concatenate([np.asarray(leaves[i], self.dtype).reshape(-1) for i in self.leaves]))

    def unflatten(self, params: PyTree, flat: jax.Array) -> PyTree:
        """Returns parameters whose mutated leaves come from a vector [N], and the others as they are."""
        leaves, structure = jax.tree.flatten(params)
        for i, part in zip(self.leaves, jnp.split(flat, self.offsets[1:-1].tolist()), strict=True):
            leaves[i] = part.reshape(leaves[i].shape).astype(leaves[i].dtype)
        return jax.tree.unflatten(structure, leaves)


def scatter(flat: jax.Array, coordinates: jax.Array, values: jax.Array) -> jax.Array:
    """Adds values to a vector at coordinates, which are all different; those past the end are dropped."""
    return flat.at[coordinates].add(values.astype(flat.dtype), mode="drop", unique_indices=True)


def add(leaves: list[jax.Array], dtype: Any, coordinates: jax.Array, values: jax.Array) -> list[jax.Array]:
    """Adds values to a few leaves at the coordinates of their concatenation; those past the end are dropped."""
    starts = [0, *itertools.accumulate(leaf.size for leaf in leaves)]
    # Written leaf by leaf, which copies memory: XLA:CPU takes seven times as long for a concatenation.
    flat = jnp.zeros(starts[-1], dtype)
    for start, leaf in zip(starts, leaves, strict=False):
        flat = jax.lax.dynamic_update_slice(flat, leaf.astype(dtype).reshape(-1), (start,))
    parts = jnp.split(scatter(flat, coordinates, values), starts[1:-1])
    return [part.reshape(leaf.shape).astype(leaf.dtype) for part, leaf in zip(parts, leaves, strict=True)]


def choose(where: str, graph: NetworkGraph, mutate: Callable[[str], bool] | None) -> Chosen:
    """Chooses the parameters to mutate.

    Args:
      where: whose arguments these are, the start of the message.
      graph: the network.
      mutate: says of a parameter's path whether it is mutated; None for every floating leaf that the outputs depend on
        and that is no running statistic of a normalisation.

    Returns:
      The leaves.

    Raises:
      TypeError: where mutate is no function.
      ValueError: where it chooses nothing, or a leaf that cannot be mutated.
    """
    if mutate is not None and not callable(mutate):
        raise TypeError(f"{where}: mutate is {mutate!r}, expected a function of a parameter's path, or None")
    flat = jax.tree.leaves(graph.network.params)
    first = {leaf: index for index, layer in reversed(list(enumerate(graph.layers))) for leaf in layer.parameters}
    statistics = {s.leaf for found in batch_normalisations(graph) for s in (found.mean, found.variance)}
    chosen = []
    for leaf, path in enumerate(graph.paths):
        floating = jnp.issubdtype(flat[leaf].dtype, jnp.floating)
        if mutate is None:
            if floating and leaf in first and leaf not in statistics:
                chosen.append(leaf)
        elif mutate(path):
            if not floating or leaf not in first:
                why = f"{flat[leaf].dtype}" if not floating else "read by nothing that the outputs depend on"
                raise ValueError(f"{where}: mutate chooses {path!r}, which is {why}; expected floating weights in use")
            chosen.append(leaf)
    if not chosen:
        raise ValueError(f"{where}: mutate chooses none of the parameters {list(graph.paths)}; expected at least one")
    shapes = tuple(tuple(np.shape(flat[leaf])) for leaf in chosen)
    dtype = jnp.result_type(*(flat[leaf].dtype for leaf in chosen))
    found = Chosen(tuple(chosen), tuple(first[leaf] for leaf in chosen), shapes, dtype)
    if found.count >= 2**30:
        raise ValueError(
            f"{where}: {found.count} weights are mutated, expected less than 2**30; choose fewer by mutate"
        )
    return found


def spread(chosen: Chosen, params: PyTree) -> jax.Array:
    """Returns the spread of each leaf's layer, float32 [L]: by what sigma is multiplied where it is relative.

    The standard deviation of the layer's mutated weights around the mean of their own leaf, all leaves pooled. Leaves
    that are constant (fresh biases and scales) add nothing to it, and are mutated like the rest of their layer.
    """
    flat = jax.tree.leaves(params)
    leaves = [jnp.asarray(flat[leaf], jnp.float32) for leaf in chosen.leaves]
    squares, counts = {}, {}
    for layer, leaf in zip(chosen.layers, leaves, strict=True):
        squares[layer] = squares.get(layer, 0) + jnp.square(leaf - leaf.mean()).sum()
        counts[layer] = counts.get(layer, 0) + leaf.size
    return jnp.stack([jnp.sqrt(squares[layer] / counts[layer]) for layer in chosen.layers])
