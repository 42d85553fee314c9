"""Our own small networks for embedded data, in Flax Linen, sized by their arguments."""

from experiments.zoo.table import FAMILIES, build

__all__ = ["FAMILIES", "build"]
