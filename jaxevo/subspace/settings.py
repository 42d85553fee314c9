"""The settings that all spaces of mutations share, checked at the door.

L is the number of leaves that are mutated.
"""

import numbers
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.checks import check_function, check_weights, nearest
from jaxevo.graph import NetworkGraph, trace
from jaxevo.network import Network, check_key
from jaxevo.subspace.choosing import choose, spread
from jaxevo.subspace.masks import Base, Masks, masks_of
from jaxevo.subspace.units import GRANULARITIES, units

SCALES = ("absolute", "relative")


def check_sigma(where: str, sigma: Any) -> float:
    """Returns sigma as a float.

    Raises:
      ValueError: where it is no finite number of at least 0.
    """
    if isinstance(sigma, bool) or not isinstance(sigma, numbers.Real) or not 0 <= float(sigma) < float("inf"):
        raise ValueError(f"{where}: sigma is {sigma!r}, expected a finite number of at least 0, such as 0.02")
    return float(sigma)


def build(
    where: str,
    parent: Network,
    subspaces: int | None,
    density: float | None,
    granularity: str,
    scale: str,
    dynamic: bool,
    key: jax.Array | None,
    mutate: Callable[[str], bool] | None,
) -> tuple[NetworkGraph, Masks, Base]:
    """Builds the masks of a network, and what its mutations share.

    Args:
      where: whose arguments these are, the start of messages.
      parent, granularity, scale, dynamic, key, mutate: as in `partition`.
      subspaces: parts of a partition, or None.
      density: share of the units in each mask, or None.

    Returns:
      The network's graph, its masks, and the parameters of the space.

    Raises:
      TypeError, ValueError: where an argument is not as described.
    """
    if not isinstance(parent, Network):
        raise TypeError(
            f"{where}: parent is a {type(parent).__name__}, expected a jaxevo.Network; make one with jaxevo.from_flax"
        )
    check_weights(where, "parent", parent.params)
    for name, value, known in (("granularity", granularity, GRANULARITIES), ("scale", scale, SCALES)):
        if value not in known:
            raise ValueError(f"{where}: {name} is {value!r}; {nearest(value, known)}expected one of {known}")
    if mutate is not None:
        check_function(where, "mutate", mutate, "of a parameter's path that says whether it is mutated, or None")
    if not isinstance(dynamic, bool):
        raise TypeError(f"{where}: dynamic is {dynamic!r}, expected True or False")
    key = check_key(where, jax.random.key(0, impl="threefry2x32") if key is None else key)
    graph = trace(parent)
    chosen = choose(where, graph, mutate)
    grouped = None if granularity == "weight" else units(graph, chosen, granularity)  # type: ignore[arg-type]
    _check_masks(where, granularity, chosen.count if grouped is None else len(grouped.size), subspaces, density)
    own = np.asarray(jax.random.key_data(key))
    masks = masks_of(chosen, granularity, grouped, subspaces, density, dynamic, own)  # type: ignore[arg-type]
    params = jax.tree.map(jnp.asarray, parent.params)
    base = Base(
        params,
        chosen.flatten(params),
        spread(chosen, params) if scale == "relative" else (),
        () if grouped is None else jax.tree.map(jnp.asarray, grouped),
    )
    return graph, masks, base


def _check_masks(where: str, granularity: str, count: int, subspaces: Any, density: Any) -> None:
    if subspaces is not None:
        if isinstance(subspaces, bool) or not isinstance(subspaces, int | np.integer):
            raise TypeError(f"{where}: subspaces is {subspaces!r}, expected a whole number")
        if not 1 <= subspaces <= count:
            raise ValueError(
                f"{where}: subspaces is {subspaces}, expected 1 to {count}, the number of {granularity}s that are "
                "mutated"
            )
    elif isinstance(density, bool) or not isinstance(density, numbers.Real) or not 0 < float(density) <= 1:
        raise ValueError(f"{where}: density is {density!r}, expected a share of the {granularity}s in (0, 1]")
