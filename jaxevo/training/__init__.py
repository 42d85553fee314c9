"""Training one network by any `update(key, member, batch) -> (member, metrics)`; losses; networks made trainable."""

from jaxevo.training.fitting import Metrics, Update, fit, start, supervised
from jaxevo.training.losses import Loss, cross_entropy, squared_error
from jaxevo.training.trainable import as_trainable, freeze

__all__ = [
    "Loss",
    "Metrics",
    "Update",
    "as_trainable",
    "cross_entropy",
    "fit",
    "freeze",
    "squared_error",
    "start",
    "supervised",
]
