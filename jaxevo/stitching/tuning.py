"""Stitches trained by gradient, from where the closed form left them, on any objective; the parents stay frozen."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxevo.checks import check_function
from jaxevo.data import Batch, Split, check_batch, check_targets
from jaxevo.network import Member, batched, check_inputs, check_key
from jaxevo.space import Space
from jaxevo.stitching.merging import Merged, check_merged
from jaxevo.stitching.stitches import apply_stitch
from jaxevo.stitching.views import ends_of, values_of
from jaxevo.training import Loss, Metrics, cross_entropy, fit
from jaxevo.training.fitting import check_augment
from jaxevo.training.losses import wants_classes

PyTree = Any

#: `(key, params, batch) -> scalar`, pure and traceable; params are those of a merged network.
Objective = Callable[[jax.Array, PyTree, Batch], jax.Array]


def tune(
    key: jax.Array,
    merged: Merged,
    split: Split,
    objective: Objective | None = None,
    *,
    optimizer: optax.GradientTransformation | None = None,
    epochs: int = 5,
    batch: int = 32,
    augment: Callable[[jax.Array, jax.Array], jax.Array] | None = None,
    callback: Callable[[int, Member, Metrics], None] | None = None,
) -> tuple[Merged, list[Metrics]]:
    """Trains the stitches of a merged network by gradient.

    Args:
      key: for order, augmentation and objective.
      merged: the merged network; `stitching.fit` gives a good start.
      split: training examples.
      objective: `(key, params, batch) -> scalar` to descend; by default `agreement(merged)`.
      optimizer: an optax optimiser of the stitches; by default AdamW as published, rate 1e-3 and weight decay 1e-2.
      epochs, batch, augment, callback: as in `training.fit`; 5 epochs as published.

    Returns:
      The merged network with trained stitches, and for each epoch a dict with its mean "loss".

    Raises:
      TypeError, ValueError: where an argument is not what it should be.
    """
    check_merged("tune", merged)
    key = check_key("tune", key)
    objective = agreement(merged) if objective is None else objective
    if not callable(objective):
        raise TypeError(f"tune: objective is {objective!r}, expected a function (key, params, batch) -> scalar")
    optimizer = optax.adamw(1e-3, weight_decay=1e-2) if optimizer is None else optimizer
    if not isinstance(optimizer, optax.GradientTransformation):
        raise TypeError(f"tune: optimizer is {optimizer!r}, expected an optax optimiser such as optax.adamw(1e-3)")
    check_batch("tune", split, batch)
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 0:
        raise ValueError(f"tune: epochs is {epochs!r}, expected a whole number of at least 0")
    if callback is not None:
        check_function("tune", "callback", callback, "(epoch, member, metrics), or None")
    check_augment("tune", augment, split)
    if augment is None:  # Which may crop them to what the parents take.
        check_inputs("tune: split", merged.parents[0].network.inputs, split.inputs)
    if isinstance(objective, _OffspringLoss):
        objective.check_labels("tune: split.labels", merged.params, split.labels)
    stitches = merged.params["stitches"]

    def update(key, member, batch):
        def value(stitches):
            return objective(key, {"parents": member.state, "stitches": stitches}, batch)

        loss, gradient = jax.value_and_grad(value)(member.params)
        changes, state = optimizer.update(gradient, member.optimizer_state, member.params)
        return member._replace(params=optax.apply_updates(member.params, changes), optimizer_state=state), {
            "loss": loss
        }

    # The parents are state: passed to the compiled step, and never changed by it.
    start = Member(None, stitches, merged.params["parents"], optimizer.init(stitches))
    end, history = fit(
        key, start, update, split, epochs=epochs, batch=batch, augment=augment, callback=callback
    )  # fmt: skip
    params = {**merged.params, "stitches": end.params}
    return dataclasses.replace(merged, params=params), history


def agreement(merged: Merged, error: Callable[[jax.Array, jax.Array], jax.Array] | None = None) -> Objective:
    """Returns the published objective: what a stitch makes agrees with the feature that it replaces.

    Args:
      merged: the merged network.
      error: `(made, target) -> array` of the same shape, by default the squared difference.

    Returns:
      The objective: the mean error of each stitch, added up over the stitches.

    Raises:
      TypeError: where merged is no `Merged`.
    """
    check_merged("agreement", merged)
    if error is not None:
        check_function("agreement", "error", error, "(made, target) -> array")
    ends = [ends_of(merged.pairs, stitch) for stitch in merged.stitches]
    error = (lambda made, target: jnp.square(made - target)) if error is None else error

    def objective(key, params, batch):
        del key
        found = values_of(merged.parents, [end for both in ends for end in both], params["parents"], batch.inputs)
        total = jnp.zeros(())
        for stitch, (source, target) in zip(merged.stitches, ends, strict=True):
            wrong = error(apply_stitch(stitch, params["stitches"][stitch.name], found[source]), found[target])
            each = wrong.reshape(wrong.shape[0], -1).mean(axis=1)
            total += jnp.where(batch.mask, each, 0).sum() / jnp.maximum(batch.mask.sum(), 1)
        return total

    return objective


def offspring_loss(space: Space, loss: Loss = cross_entropy) -> Objective:
    """Returns the objective of offspring that do well: the loss of the outputs of one drawn for each step.

    Args:
      space: the switches of the merged network; `space.sample` draws the offspring.
      loss: `(outputs, labels, mask) -> scalar`.

    Returns:
      The objective.

    Raises:
      TypeError: where space is none.
    """
    if not isinstance(space, Space):
        raise TypeError(f"offspring_loss: space is {space!r}, expected a Space; make it with stitching.switches")
    check_function("offspring_loss", "loss", loss, "(outputs, labels, mask) -> scalar")
    return _OffspringLoss(space, loss)


@dataclasses.dataclass(frozen=True, eq=False)
class _OffspringLoss:
    """What `offspring_loss` returns; space and loss as there."""

    space: Space
    loss: Loss

    def __call__(self, key: jax.Array, params: PyTree, batch: Any) -> jax.Array:
        """Returns the loss of an offspring that the key draws."""
        genome = jax.tree.map(lambda leaf: leaf[0], self.space.sample(key, 1))
        return self.loss(self.space.apply(params, genome, batch.inputs), batch.labels, batch.mask)

    def check_labels(self, where: str, params: PyTree, labels: np.ndarray) -> None:
        """Refuses labels of classes that there are not; `where` starts the message."""
        if wants_classes(self.loss):
            inputs = batched(self.space.inputs, 1)
            outputs = jax.eval_shape(self.space.apply, params, self.space.genome, inputs)
            check_targets(where, np.asarray(labels), outputs.shape)
