"""Training one network, or a population of them, by any `update(key, member, batch) -> (member, metrics)`; losses."""

from jaxevo.training.epochs import Metrics, Update
from jaxevo.training.fitting import fit
from jaxevo.training.games import Game, adversarial
from jaxevo.training.learning import Learner, learner, start, supervised
from jaxevo.training.losses import Loss, cross_entropy, squared_error
from jaxevo.training.populations import population
from jaxevo.training.together import Fitted, PopulationFit
from jaxevo.training.trainable import as_trainable, freeze

__all__ = [
    "Fitted",
    "Game",
    "Learner",
    "Loss",
    "Metrics",
    "PopulationFit",
    "Update",
    "adversarial",
    "as_trainable",
    "cross_entropy",
    "fit",
    "freeze",
    "learner",
    "population",
    "squared_error",
    "start",
    "supervised",
]
