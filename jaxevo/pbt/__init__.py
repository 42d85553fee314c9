"""Architectures that mix while they train: PBT-NAS (arXiv 2307.15621)."""

from jaxevo.pbt.ancestry import Descent, lineage, origins
from jaxevo.pbt.architectures import Architecture, Call, Part, chain, in_a_row
from jaxevo.pbt.convolutions import OPERATIONS, Convolution
from jaxevo.pbt.dense import Dense, Plain
from jaxevo.pbt.extents import Extent
from jaxevo.pbt.genes import Choice, Fixed, Gene
from jaxevo.pbt.layer import ACTIVATIONS, Extents, Layer
from jaxevo.pbt.mixing import mixture, mutation
from jaxevo.pbt.spaces import game, layers

__all__ = [
    "ACTIVATIONS",
    "OPERATIONS",
    "Architecture",
    "Call",
    "Choice",
    "Convolution",
    "Dense",
    "Descent",
    "Extent",
    "Extents",
    "Fixed",
    "Gene",
    "Layer",
    "Part",
    "Plain",
    "chain",
    "game",
    "in_a_row",
    "layers",
    "lineage",
    "mixture",
    "mutation",
    "origins",
]
