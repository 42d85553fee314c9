"""Students in training: one student, from whatever it begins with, scored after each epoch.

E is the number of epochs.
"""

import functools
import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax

from experiments.report import write_json
from experiments.transfer.starting import student_of
from jaxevo import stopping, training
from jaxevo.data import Dataset, Split
from jaxevo.network import Member, Trainable

PyTree = Any

#: Examples that are scored at a time.
_CHUNK = 510


class Curve(NamedTuple):
    """How a student learned.

    valid, test: accuracy after each epoch, [E].
    """

    valid: list[float]
    test: list[float]


class Student:
    """A student with its compiled programs, one for each optimiser, which all its trainings share.

    name: in the zoo.
    trainable: the network.
    """

    def __init__(self, name: str, dataset: Dataset):
        self.name = name
        self.trainable: Trainable = student_of(name, dataset)
        self._dataset = dataset
        self._right = jax.jit(self._count)

    def learn(
        self,
        key: jax.Array,
        optimizer: str,
        rate: float,
        epochs: int,
        batch: int,
        begin: Callable[[PyTree], PyTree] | None = None,
    ) -> Curve:
        """Trains from the parameters that the key draws.

        Args:
          key: of parameters and order.
          optimizer, rate: what trains it.
          epochs: how long.
          batch: examples in a step.
          begin: what is made of the drawn parameters, `{"params": ..., "state": ...}`, before training.

        Returns:
          Its accuracies.
        """
        drawn, train = jax.random.split(key)
        params, state = self.trainable.init(drawn)
        if begin is not None:
            filled = begin({"params": params, "state": state})
            params, state = filled["params"], filled["state"]
        transformation, update = self._update(optimizer)
        settings = transformation.init(params)
        settings.hyperparams["learning_rate"] = jax.numpy.asarray(rate, jax.numpy.float32)
        curve = Curve([], [])

        def score(epoch, member, metrics):
            del epoch, metrics
            curve.valid.append(self._accuracy(member, self._dataset.valid))
            curve.test.append(self._accuracy(member, self._dataset.test))

        member = Member(None, params, state, settings)
        training.fit(train, member, update, self._dataset.train, epochs=epochs, batch=batch, callback=score)
        return curve

    @functools.cache  # noqa: B019  # a student lives as long as its programs
    def _update(self, optimizer: str) -> tuple[Any, training.Update]:
        # The rate is a value of the optimiser's state, so that all rates share one program.
        makers = {
            "adamw": optax.inject_hyperparams(functools.partial(optax.adamw, weight_decay=0.01)),
            "sgd": optax.inject_hyperparams(functools.partial(optax.sgd, momentum=0.9, nesterov=True)),
        }
        transformation = makers[optimizer](learning_rate=0.0)
        return transformation, training.supervised(self.trainable, training.cross_entropy, transformation)

    def _count(self, params, state, inputs, labels):
        outputs, _ = self.trainable.apply(params, state, inputs, None, False)
        return (outputs.argmax(-1) == labels).sum()

    def _accuracy(self, member: Member, split: Split) -> float:
        chunks = range(0, len(split), _CHUNK)
        parts = ((split.inputs[i : i + _CHUNK], split.labels[i : i + _CHUNK]) for i in chunks)
        return int(sum(self._right(member.params, member.state, *part) for part in parts)) / len(split)


def tuned(student: Student, key: jax.Array, optimizers: dict[str, tuple[float, ...]], epochs: int, batch: int) -> dict:
    """Chooses the optimiser and the rate with which a random beginning learns best.

    Args:
      student: the student.
      key: of the trials, which serves no other purpose.
      optimizers: rates by optimiser.
      epochs, batch: of each trial.

    Returns:
      "optimizer" and "rate", those with the greatest product of the accuracies on valid after the first and the last
      epoch, and "trials", all of them; none where there is nothing to choose from.
    """
    trials = []
    if [len(rates) for rates in optimizers.values()] == [1]:
        ((optimizer, (rate,)),) = optimizers.items()
        return {"optimizer": optimizer, "rate": rate, "trials": trials}
    for optimizer, rates in optimizers.items():
        for rate in rates:
            valid = student.learn(key, optimizer, rate, epochs, batch).valid
            trials.append({"optimizer": optimizer, "rate": rate, "valid": valid})
            print(f"  {student.name} {optimizer} {rate:g}: {[round(a, 3) for a in valid]}", flush=True)
    best = max(trials, key=lambda trial: trial["valid"][0] * trial["valid"][-1])
    return {"optimizer": best["optimizer"], "rate": best["rate"], "trials": trials}


def kept(path: pathlib.Path, make: Callable[[], Any]) -> Any:
    """Returns what a JSON file holds; makes and writes it where it is not there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, make())
        stopping.here()
    return json.loads(path.read_text())
