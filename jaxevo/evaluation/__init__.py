"""Scoring networks: whole populations in one program, shared work once; metrics, moments of features, statistics."""

from jaxevo.evaluation.calibration import ece
from jaxevo.evaluation.layout import mesh
from jaxevo.evaluation.metrics import Metric, accuracy, brier, mean_squared_error, multiply_adds, nll, parameters, top_k
from jaxevo.evaluation.moments import Moments, grams
from jaxevo.evaluation.overlap import mean_iou
from jaxevo.evaluation.recalibration import recalibrate
from jaxevo.evaluation.scoring import PopulationEvaluation, population
from jaxevo.evaluation.sharing import SharedEvaluation, shared

__all__ = [
    "Metric",
    "Moments",
    "PopulationEvaluation",
    "SharedEvaluation",
    "accuracy",
    "brier",
    "ece",
    "grams",
    "mean_iou",
    "mean_squared_error",
    "mesh",
    "multiply_adds",
    "nll",
    "parameters",
    "population",
    "recalibrate",
    "shared",
    "top_k",
]
