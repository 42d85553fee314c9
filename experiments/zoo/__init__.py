"""Networks in Flax Linen, sized by their arguments: as published, and small ones for embedded data."""

from experiments.zoo.networks import abstract_network, random_network
from experiments.zoo.sizes import SIZES, Size
from experiments.zoo.table import FAMILIES, build

__all__ = ["FAMILIES", "SIZES", "Size", "abstract_network", "build", "random_network"]
