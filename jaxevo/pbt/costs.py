"""What the networks of an architecture cost."""

import math
from typing import Any

import jax

from jaxevo.pbt.architectures import Architecture
from jaxevo.pbt.extents import is_extent, sizes
from jaxevo.space import Cost


def cost(architecture: Architecture, genome: Any) -> Cost:
    """Counts multiply-adds for one example and parameters of the part that is the network.

    Args:
      architecture: whose layers work at as many positions whatever they choose.
      genome: int [G]; may be traced.
    """
    extents = architecture.extents(genome)
    products, count = 0, 0
    for name in (layer.name for layer in architecture.parts[architecture.network].layers):
        params, statistics = extents["params"][name], extents["state"]["statistics"][name]
        for extent in jax.tree.leaves((params, statistics), is_leaf=is_extent):
            used = math.prod(sizes(extent))
            count = count + used
            if len(extent.axes) > 1:
                products = products + used * architecture.positions[name]
    return Cost(products, count)
