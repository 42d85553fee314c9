"""The space inside one mask: a genome is the vector of its coordinates, which any strategy over real numbers searches.

D is the number of weights in the mask.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.network import Network, check_key
from jaxevo.space import Child, Cost, Space
from jaxevo.subspace.choosing import scatter
from jaxevo.subspace.settings import build, check_sigma

PyTree = Any

#: Standard deviation of what `vary` adds to each coordinate, in units of sigma.
_STEP = 0.1


class Inside(NamedTuple):
    """What all networks of the space share, its `params`.

    params: the parameters of the network around which it lies.
    flat: those that are mutated once more, as one vector.
    coordinates: int32 [D], where the weights of the mask are in the vector of all mutated ones.
    step: what one unit of a genome adds to each, sigma times the scale of its layer: float32 [D].
    """

    params: PyTree
    flat: jax.Array
    coordinates: jax.Array
    step: jax.Array


def coordinates(
    parent: Network,
    sigma: float,
    *,
    subspaces: int | None = None,
    density: float | None = None,
    subspace: int = 0,
    granularity: str = "weight",
    scale: str = "absolute",
    key: jax.Array | None = None,
    mutate: Callable[[str], bool] | None = None,
) -> Space:
    """Makes the space of all networks that differ from their parent inside one mask.

    A genome is float32 [D] in units of sigma; zeros are the parent. The mask is the static one of that index in
    `partition(parent, subspaces, ...)` or `sparse(parent, density, ...)` with the same settings. Samples are standard
    normal. An offspring takes each coordinate from one of its parents, plus normal noise of 0.1.

    Args:
      parent: the network.
      sigma: what one unit of a genome adds to a weight, above 0; a value in `params.step`, so that another one compiles
        nothing.
      subspaces, density: give one of them, the masks' number or their density.
      subspace: index of the mask, below `subspaces`.
      granularity, scale, key, mutate: as in `partition`.

    Returns:
      The space; its `params` are an `Inside`.

    Raises:
      TypeError, ValueError: where an argument is not as described.
    """
    where = "coordinates"
    sigma = check_sigma(where, sigma)
    if (subspaces is None) == (density is None):
        raise ValueError(f"{where}: subspaces is {subspaces} and density is {density}, expected one of them")
    graph, masks, base = build(where, parent, subspaces, density, granularity, scale, False, key, mutate)
    most = 2**31 if subspaces is None else subspaces
    if isinstance(subspace, bool) or not isinstance(subspace, int) or not 0 <= subspace < most:
        raise ValueError(f"{where}: subspace is {subspace!r}, expected a whole number from 0 to {most - 1}")
    # The masks are static, so that the noise key does not matter.
    slots = np.asarray(masks.of(base, jax.random.wrap_key_data(masks.key), jnp.int32(subspace)).coordinates)
    taken = jnp.asarray(slots[slots < masks.chosen.count])
    size = len(taken)
    relative = jnp.ones(size) if isinstance(base.scale, tuple) else base.scale[masks.chosen.leaf_of(taken)]
    cost = Cost(graph.multiply_adds, graph.parameters)

    def make(params: Inside, genome: jax.Array) -> PyTree:
        flat = scatter(params.flat, params.coordinates, params.step * genome)
        return masks.chosen.unflatten(params.params, flat)

    def decode(params: Inside, genome: jax.Array) -> Network:
        if np.shape(genome) != (size,):
            raise ValueError(
                f"decode: genome has shape {list(np.shape(genome))}, expected [{size}]; index the population first"
            )
        return dataclasses.replace(parent, params=jax.jit(make)(params, genome), name=f"{parent.name}[mask {subspace}]")

    def sample(key: jax.Array, n: int) -> jax.Array:
        key = check_key("sample", key)
        if not isinstance(n, int) or n < 1:
            raise ValueError(f"sample: n is {n!r}, expected a whole number of at least 1, the number of genomes")
        return jax.random.normal(key, (n, size), jnp.float32)

    def vary(key: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
        mix, noise = jax.random.split(check_key("vary", key))
        if np.shape(a) != np.shape(b) or np.shape(a)[1:] != (size,):
            raise ValueError(
                f"vary: a and b have shapes {list(np.shape(a))} and {list(np.shape(b))}, expected [n, {size}]"
            )
        taken = jnp.where(jax.random.bernoulli(mix, 0.5, np.shape(a)), a, b)
        return taken + _STEP * jax.random.normal(noise, np.shape(a), jnp.float32)

    return Space(
        name=f"mask {subspace} of {parent.name}, {size} weights",
        params=Inside(base.params, base.flat, taken, jnp.float32(sigma) * relative),
        inputs=parent.inputs,
        sample=sample,
        vary=vary,
        apply=lambda params, genome, inputs: parent.apply(make(params, genome), inputs),
        decode=decode,
        cost=lambda _: cost,
        output=parent.output,
        classes=parent.classes,
        child=Child(make, parent.apply),
        settings={"sigma": sigma, "mask": subspace, **masks.settings},
    )
