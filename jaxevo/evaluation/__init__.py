"""Scoring networks: whole populations in one program, shared work once, second moments of features, metrics."""

from jaxevo.evaluation.layout import mesh
from jaxevo.evaluation.metrics import Metric, accuracy, multiply_adds, nll, parameters, top_k
from jaxevo.evaluation.moments import Moments, grams
from jaxevo.evaluation.scoring import PopulationEvaluation, population
from jaxevo.evaluation.sharing import SharedEvaluation, shared

__all__ = [
    "Metric",
    "Moments",
    "PopulationEvaluation",
    "SharedEvaluation",
    "accuracy",
    "grams",
    "mesh",
    "multiply_adds",
    "nll",
    "parameters",
    "population",
    "shared",
    "top_k",
]
