"""Evolutionary pruning: sparse heads on frozen features, and structured pruning of any network (arXiv 2302.10253)."""

from jaxevo.pruning.heads import Head, head
from jaxevo.pruning.objectives import active_share
from jaxevo.pruning.quantiles import accuracy_bins
from jaxevo.pruning.sparse import connections, neurons

__all__ = [
    "Head",
    "accuracy_bins",
    "active_share",
    "connections",
    "head",
    "neurons",
]
