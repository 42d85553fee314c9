"""How networks learn: updates that descend a loss, and `Learner`, all that training a population needs to know."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from jaxevo.data import Batch, are_classes, check_targets, counted
from jaxevo.network import Member, PyTree, Trainable, batched, check_key
from jaxevo.space import Space
from jaxevo.training.epochs import Metrics, Update
from jaxevo.training.losses import Loss, mean_of, wants_classes

Forward = Callable[[Member, PyTree, jax.Array | None, bool], tuple[PyTree, PyTree]]


class Learner(NamedTuple):
    """How members learn: three pure, traceable functions of one member.

    A supervised loss is one such way (`learner`); a game of two networks or reinforcement learning is another, written
    down in the same three functions.

    begin: `member -> member`, gives a member without optimiser state its first one.
    update: `(key, member, batch) -> (member, metrics)`, one step; metrics are scalars, means over the batch.
    score: `(member, batch) -> scalar`, larger is better: what early stopping goes by, given all of the examples that
      members are scored on as one batch. None where members are not scored.
    inputs: `ShapeDtypeStruct`s of one training example, where they are not the network's inputs, as a generator's.
    """

    begin: Callable[[Member], Member]
    update: Update
    score: Callable[[Member, Batch], jax.Array] | None = None
    inputs: PyTree = None


@dataclasses.dataclass(frozen=True, eq=False)
class Descent:
    """The update that descends the gradient of a loss, `(key, member, batch) -> (member, metrics)`.

    forward: `(member, inputs, key, train) -> (outputs, state)`.
    inputs: `ShapeDtypeStruct`s of one example.
    output: kind of the outputs.
    loss: `(outputs, labels, mask) -> scalar`.
    optimizer: an optax optimiser.
    """

    forward: Forward
    inputs: PyTree
    output: str
    loss: Loss
    optimizer: optax.GradientTransformation

    def __call__(self, key: jax.Array, member: Member, batch: Any) -> tuple[Member, Metrics]:
        """Takes a step."""

        def objective(params):
            outputs, state = self.forward(member._replace(params=params), batch.inputs, key, True)
            return self.loss(outputs, batch.labels, batch.mask), (outputs, state)

        (value, (outputs, state)), gradient = jax.value_and_grad(objective, has_aux=True)(member.params)
        changes, optimizer_state = self.optimizer.update(gradient, member.optimizer_state, member.params)
        params = optax.apply_updates(member.params, changes)
        metrics = {"loss": value}
        if self.output != "values" and are_classes(batch.labels):
            metrics["accuracy"] = mean_of(outputs.argmax(-1) == batch.labels, counted(batch.labels, batch.mask))
        return Member(member.genome, params, state, optimizer_state), metrics

    def check_labels(self, where: str, member: Member, labels: Any) -> None:
        """Refuses labels of classes that there are not, before anything is compiled: they would teach nothing.

        Only those of `cross_entropy` are looked at; what another loss makes of labels is not known.

        Args:
          where: whose argument they are and what it is called, the start of messages.
          member: one of those that learn, or its `ShapeDtypeStruct`s.
          labels: of all examples, [N, ...].

        Raises:
          ValueError: where they do not fit the outputs.
        """
        if not wants_classes(self.loss):
            return
        inputs = batched(self.inputs, 1)
        outputs, _ = jax.eval_shape(lambda member, inputs: self.forward(member, inputs, None, False), member, inputs)
        check_targets(where, np.asarray(labels), outputs.shape)


def start(key: jax.Array, trainable: Trainable, optimizer: optax.GradientTransformation) -> Member:
    """Draws an untrained member.

    Args:
      key: for the parameters.
      trainable: the network to train.
      optimizer: the optax optimiser that `supervised` gets as well.

    Returns:
      The member, without genome.

    Raises:
      TypeError, ValueError: where an argument is of the wrong kind.
    """
    key = check_key("start", key)
    _check_parts("start", trainable, optimizer)
    params, state = trainable.init(key)
    return Member(None, params, state, optimizer.init(params))


def supervised(trainable: Trainable, loss: Loss, optimizer: optax.GradientTransformation) -> Update:
    """Makes the update that descends the gradient of a loss of outputs and labels.

    Args:
      trainable: the network.
      loss: `(outputs, labels, mask) -> scalar`, such as `cross_entropy`.
      optimizer: an optax optimiser.

    Returns:
      `(key, member, batch) -> (member, metrics)`; metrics hold "loss" and, where outputs and labels are classes,
      "accuracy" (of maps, over positions), both of the member before the step.

    Raises:
      TypeError: where an argument is of the wrong kind.
    """
    _check_parts("supervised", trainable, optimizer)
    _check_loss("supervised", loss)
    return Descent(_forward(trainable), trainable.inputs, trainable.output, loss, optimizer)


def learner(space: Space | Trainable, loss: Loss, optimizer: optax.GradientTransformation) -> Learner:
    """Makes the learner that descends the gradient of a loss of outputs and labels, and is scored by minus that loss.

    Args:
      space: a space whose members are trained; or a `Trainable`, whose members have no genome.
      loss: `(outputs, labels, mask) -> scalar`, such as `cross_entropy`.
      optimizer: an optax optimiser; each member has a state of its own. Where members are compacted, one that takes
        means over a parameter's elements (Adafactor) sees fewer of them.

    Returns:
      The learner; metrics are those of `supervised`. For another score `_replace(score=...)`.

    Raises:
      TypeError: where an argument is of the wrong kind.
      ValueError: where the space's members are not trained.
    """
    if isinstance(space, Space):
        if space.learning is None:
            raise ValueError(
                f"learner: members of space {space.name!r} are not trained; pass a space whose members are, such as "
                "jaxevo.pruning.neurons(head)"
            )
        forward: Forward = space.learning.forward
    elif isinstance(space, Trainable):
        forward = _forward(space)
    else:
        raise TypeError(f"learner: space is a {type(space).__name__}, expected a jaxevo.Space or a jaxevo.Trainable")
    _check_loss("learner", loss)
    _check_optimizer("learner", optimizer)

    def begin(member: Member) -> Member:
        return member._replace(optimizer_state=optimizer.init(member.params))

    def score(member: Member, batch: Any) -> jax.Array:
        outputs, _ = forward(member, batch.inputs, None, False)
        return -loss(outputs, batch.labels, batch.mask)

    return Learner(begin, Descent(forward, space.inputs, space.output, loss, optimizer), score)


def _forward(trainable: Trainable) -> Forward:
    return lambda member, inputs, key, train: trainable.apply(member.params, member.state, inputs, key, train)


def _check_parts(where: str, trainable: Any, optimizer: Any) -> None:
    if not isinstance(trainable, Trainable):
        raise TypeError(
            f"{where}: trainable is a {type(trainable).__name__}, expected a jaxevo.Trainable; "
            "make one with jaxevo.trainable_from_flax or jaxevo.as_trainable"
        )
    _check_optimizer(where, optimizer)


def _check_optimizer(where: str, optimizer: Any) -> None:
    if not isinstance(optimizer, optax.GradientTransformation):
        raise TypeError(f"{where}: optimizer is {optimizer!r}, expected an optax optimiser such as optax.adam(1e-3)")


def _check_loss(where: str, loss: Any) -> None:
    if not callable(loss):
        raise TypeError(f"{where}: loss is {loss!r}, expected a function (outputs, labels, mask) -> scalar")
