"""The phases of the experiment before the report: the classifier whose features measure, and the methods."""

from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from experiments.folder import RunFolder
from experiments.parents import extractor, parent
from experiments.pbt_gan.memoising import Memo, Memoised
from experiments.pbt_gan.presets import Settings
from experiments.pbt_gan.starting import architecture_of, from_file, keys_of
from experiments.populations import place_of, strategy_of
from experiments.programs import kept
from jaxevo import evaluation, pbt, search, training
from jaxevo.data import Dataset, Split
from jaxevo.network import Network


class Outcome(NamedTuple):
    """What the phases before the report give.

    architecture: what was searched.
    measure: what the distances are, in words.
    found: what each method found, by name.
    tests: by method, the distance on test of the best member of each step, chosen on valid.
    programs: by method, what the training compiled, see `training.PopulationFit.report`.
    """

    architecture: pbt.Architecture
    measure: str
    found: dict[str, search.Result]
    tests: dict[str, list[float]]
    programs: dict[str, dict[str, float]]


def run(settings: Settings, dataset: Dataset, seed: int, folder: RunFolder) -> Outcome:
    """Runs everything but the report, continuing whatever the folder holds.

    Args:
      settings: of the run.
      dataset: members are trained on train and scored on valid. What a step has chosen is scored on test, and nothing
        is chosen by that.
      seed: of everything.
      folder: where checkpoints lie.

    Returns:
      The outcome.
    """
    with kept(folder.path / "programs"):
        return _phases(settings, dataset, seed, folder)


def _phases(settings: Settings, dataset: Dataset, seed: int, folder: RunFolder) -> Outcome:
    keys = keys_of(seed)
    with folder.phase("features"):
        features, measure = features_of(settings, dataset, keys["classifier"], folder)
    architecture = architecture_of(settings, dataset.train.inputs.shape[-1])
    learner = learner_of(settings, architecture)
    found, tests, programs, memo = {}, {}, {}, Memo()
    for name in settings.methods:
        with folder.phase(name):
            strategy = strategy_of(name, settings.population, architecture, learner.begin)
            fit = training.population(
                strategy.space, learner, dataset.train, epochs=settings.epochs, batch=settings.batch
            )
            trained = distance_of(settings, fit, keys["valid"], features, dataset.valid)
            evaluate = Watched(
                trained if fit.layout == "abreast" else Memoised(trained, memo),
                distance_of(settings, fit, keys["test"], features, dataset.test),
            )
            place = folder.path / place_of(name)
            found[name] = search.run(keys["methods"], strategy, evaluate, settings.steps, checkpoint=place)
            tests[name], programs[name] = evaluate.tests, fit.report()
    return Outcome(architecture, measure, found, tests, programs)


def features_of(settings: Settings, dataset: Dataset, key: jax.Array, folder: RunFolder) -> tuple[Network, str]:
    """Returns the network whose features measure, and what the distances are: trained here, or from a file."""
    if settings.features is not None:
        return from_file(settings.features, dataset.train.inputs.shape[1:]), f"Fréchet, features of {settings.features}"
    classifier = parent(key, settings.classifier, dataset, 50, folder.path / "classifier")
    right = classifier(dataset.valid.inputs).argmax(-1) == dataset.valid.labels
    return extractor(classifier), f"Fréchet, features of a classifier with {np.mean(right):.1%} on valid"


def learner_of(settings: Settings, architecture: pbt.Architecture) -> training.Learner:
    """Returns how members learn."""
    first, second = settings.decays
    optimizer = optax.adamw(settings.rate, first, second, settings.epsilon, weight_decay=0.0)
    return training.adversarial(
        pbt.game(architecture), optimizer, ratio=settings.ratio, multiplier=settings.multiplier,
        average=settings.average,
    )  # fmt: skip


def distance_of(
    settings: Settings, fit: training.PopulationFit, key: jax.Array, features: Network, split: Split
) -> evaluation.AfterTraining:
    """Returns the evaluation by the distance of `samples` pictures, of the same latents always, from a split."""
    latents = np.asarray(jax.random.normal(key, (settings.samples, *fit.space.inputs.shape)))
    drawn = Split(latents, np.zeros(len(latents), np.int32))
    return evaluation.after(fit, drawn, [-evaluation.frechet(features, split.inputs)])


class Watched:
    """An evaluation that also notes, step by step, what the member that is best on valid scores on test.

    What it notes is part of its memory, so that a run that was cut keeps it; no search sees it.
    """

    def __init__(self, evaluate: evaluation.AfterTraining | Memoised, later: evaluation.AfterTraining):
        self._evaluate, self._later = evaluate, later
        self._noted = np.zeros(0)

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the columns of the fitness."""
        return self._evaluate.objectives

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this evaluation."""
        return {"valid": self._evaluate.identity, "test": self._later.identity}

    @property
    def tests(self) -> list[float]:
        """The distance on test of the best member of each step."""
        return self._noted.tolist()

    def __call__(self, key: jax.Array, params: Any, members: Any) -> tuple[Any, np.ndarray]:
        """Trains and scores members."""
        members, fitness = self._evaluate(key, params, members)
        best = int(np.where(np.isfinite(fitness[:, 0]), fitness[:, 0], -np.inf).argmax())
        member = jax.tree.map(lambda leaf: leaf[best : best + 1], members)
        self._noted = np.append(self._noted, -float(self._later.score(member)[0, 0]))
        return members, fitness

    def report(self) -> dict[str, Any]:
        """Returns the numbers of its work so far."""
        return self._evaluate.report()

    @property
    def memory(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {"evaluation": self._evaluate.memory, "tests": self._noted}

    def restore(self, memory: dict[str, Any]) -> None:
        """Takes back what `memory` gave."""
        self._evaluate.restore(memory["evaluation"])
        self._noted = np.asarray(memory["tests"])
