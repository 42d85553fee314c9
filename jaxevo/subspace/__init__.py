"""Sparse mutations of a trained network: masks, noise inside them, spaces of the children (arXiv 2302.05832)."""

from jaxevo.subspace.children import Mutation
from jaxevo.subspace.masks import Base, Masks, Slots
from jaxevo.subspace.mutations import combine, dense, partition, rebase, sparse
from jaxevo.subspace.vectors import Inside, coordinates

__all__ = [
    "Base",
    "Inside",
    "Masks",
    "Mutation",
    "Slots",
    "combine",
    "coordinates",
    "dense",
    "partition",
    "rebase",
    "sparse",
]
