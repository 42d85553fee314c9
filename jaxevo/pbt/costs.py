"""What the networks of an architecture cost."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxevo.pbt.architectures import Architecture
from jaxevo.pbt.extents import is_extent, sizes
from jaxevo.space import Cost


def cost(architecture: Architecture, genome: Any) -> Cost:
    """Counts multiply-adds for one example and parameters of the network.

    What leads nowhere counts as well, such as all that comes before a layer that gives zeros.

    Args:
      architecture: whose layers work at as many positions whatever they choose.
      genome: int [G]; may be traced, and counts are float32 then: they go beyond what int32 holds.
    """
    extents = architecture.extents(genome)
    products, count = 0, 0
    for name in architecture.names(*architecture.network):
        params, statistics = extents["params"][name], extents["state"]["statistics"][name]
        for extent in jax.tree.leaves((params, statistics), is_leaf=is_extent):
            used = math.prod(_number(size) for size in sizes(extent))
            count = count + used
            if len(extent.axes) > 1:
                products = products + used * architecture.positions[name]
    return Cost(products, count)


def _number(size: Any) -> Any:
    return size.astype(jnp.float32) if isinstance(size, jax.Array) else int(size)
