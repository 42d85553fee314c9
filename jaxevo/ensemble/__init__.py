"""Ensembles: several networks that answer together, averages of their weights, and how far they differ."""

from jaxevo.ensemble.diversity import disagreement, mean_over_pairs, pairwise_kl, q_statistic
from jaxevo.ensemble.predictions import predict
from jaxevo.ensemble.reporting import report
from jaxevo.ensemble.selection import greedy
from jaxevo.ensemble.soups import Soup, average, greedy_average
from jaxevo.ensemble.voting import vote

__all__ = [
    "Soup",
    "average",
    "disagreement",
    "greedy",
    "greedy_average",
    "mean_over_pairs",
    "pairwise_kl",
    "predict",
    "q_statistic",
    "report",
    "vote",
]
