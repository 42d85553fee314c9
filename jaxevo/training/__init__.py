"""Training one network by any `update(key, member, batch) -> (member, metrics)`; losses; networks made trainable."""

from jaxevo.training.fitting import Metrics, Update, fit, start, supervised
from jaxevo.training.losses import Loss, cross_entropy, squared_error
from jaxevo.training.thawing import freeze, thaw

__all__ = [
    "Loss",
    "Metrics",
    "Update",
    "cross_entropy",
    "fit",
    "freeze",
    "squared_error",
    "start",
    "supervised",
    "thaw",
]
