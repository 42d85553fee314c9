"""Scoring networks: whole populations in one program, shared work once, after training; metrics, statistics."""

from jaxevo.devices import mesh
from jaxevo.evaluation.cached import features
from jaxevo.evaluation.calibration import ece
from jaxevo.evaluation.distances import frechet
from jaxevo.evaluation.metrics import Metric, accuracy, brier, mean_squared_error, multiply_adds, nll, parameters, top_k
from jaxevo.evaluation.moments import Moments, grams
from jaxevo.evaluation.overlap import mean_iou
from jaxevo.evaluation.recalibration import recalibrate
from jaxevo.evaluation.robustness import Detector, auroc, energy, max_softmax, odin, roc_area
from jaxevo.evaluation.scoring import PopulationEvaluation, population
from jaxevo.evaluation.sharing import SharedEvaluation, shared
from jaxevo.evaluation.timing import latency, latency_ms
from jaxevo.evaluation.trained import AfterTraining, after

__all__ = [
    "AfterTraining",
    "Detector",
    "Metric",
    "Moments",
    "PopulationEvaluation",
    "SharedEvaluation",
    "accuracy",
    "after",
    "auroc",
    "brier",
    "ece",
    "energy",
    "features",
    "frechet",
    "grams",
    "latency",
    "latency_ms",
    "max_softmax",
    "mean_iou",
    "mean_squared_error",
    "mesh",
    "multiply_adds",
    "nll",
    "odin",
    "parameters",
    "population",
    "recalibrate",
    "roc_area",
    "shared",
    "top_k",
]
