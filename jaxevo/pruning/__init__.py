"""Evolutionary pruning: sparse heads on frozen features, and structured pruning of any network (arXiv 2302.10253)."""

from jaxevo.pruning.axes.dependencies import Group
from jaxevo.pruning.explanation import enlarge, frequency, grad_cam
from jaxevo.pruning.heads.dense import Head, head
from jaxevo.pruning.heads.sparse import connections, neurons
from jaxevo.pruning.importance import keep, magnitude, random_scores, taylor, thin
from jaxevo.pruning.objectives import active_share
from jaxevo.pruning.quantiles import accuracy_bins
from jaxevo.pruning.splitting import join, split
from jaxevo.pruning.widths import channels, groups

__all__ = [
    "Group",
    "Head",
    "accuracy_bins",
    "active_share",
    "channels",
    "connections",
    "enlarge",
    "frequency",
    "grad_cam",
    "groups",
    "head",
    "join",
    "keep",
    "magnitude",
    "neurons",
    "random_scores",
    "split",
    "taylor",
    "thin",
]
