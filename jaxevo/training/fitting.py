"""Training one network by any `update(key, member, batch) -> (member, metrics)`.

A supervised loss is one such update; a game of two networks or reinforcement learning is another. Epoch e of a fit
with key k draws everything from `fold_in(k, e)`, so a fit that is cut in two gives the same bits as one in one piece;
with a score, go on from the member that the callback got, and patience begins anew.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.checks import check_function
from jaxevo.data import Batch, Split, are_maps, check_batch
from jaxevo.data.augment import Augment
from jaxevo.network import Member, check_inputs, check_key
from jaxevo.programs import OFTEN, compiler_options, fold_in
from jaxevo.training.epochs import Augmentation, Metrics, Plan, Update, advance, plan, scan
from jaxevo.training.learning import Descent

Layout = Literal["steps", "scan"]


def fit(
    key: jax.Array,
    member: Member,
    update: Update,
    split: Split,
    *,
    epochs: int,
    batch: int,
    augment: Callable[[jax.Array, jax.Array], jax.Array] | None = None,
    callback: Callable[[int, Member, Metrics], None] | None = None,
    start_epoch: int = 0,
    score: Callable[[Member], float] | None = None,
    patience: int | None = None,
    layout: Layout | None = None,
) -> tuple[Member, list[Metrics]]:
    """Trains a member.

    Args:
      key: for order, augmentation and update; epoch e draws from `fold_in(key, e)`.
      member: where to start; it is left as it is.
      update: `(key, member, batch) -> (member, metrics)`, traceable; metrics are scalars, means over the batch.
      split: training examples.
      epochs: the epoch to stop before, counted from 0: to go on after `epochs=5`, `start_epoch=5, epochs=10`.
      batch: examples in a step, in [1, len(split)]; the last step of an epoch is filled up with examples of its
        first, which are masked.
      augment: `(key, inputs) -> inputs`, traceable, applied to the inputs of every step. Where labels are maps it must
        be an `Augment`, which moves them with the inputs.
      callback: called after each epoch with its number, the member and the epoch's metrics.
      start_epoch: the first epoch to run.
      score: host function of a member, larger is better, called after each epoch; with it the best member comes back.
      patience: stop after so many epochs in a row without a better score; NaN is never better.
      layout: "steps" calls one compiled step after another, "scan" runs an epoch in one program; by default "steps"
        on CPU, where convolutions inside a loop are slow, and "scan" elsewhere. Agreement is to rounding.

    Returns:
      The member, the last one or the best by `score`, and a dict of metrics for each epoch run.

    Raises:
      TypeError, ValueError: where an argument is not what it should be; where update is one of `supervised` or
        `learner`, also where inputs that are not augmented do not fit the network or, for `cross_entropy`, labels its
        classes.
    """
    key = check_key("fit", key)
    _check_fit(member, update, callback, split, epochs, batch, start_epoch, score, patience, layout)
    check_augment("fit", augment, split)
    if isinstance(update, Descent):
        if augment is None:  # Which may crop them to what the network takes.
            check_inputs("fit: split", update.inputs, split.inputs)
        update.check_labels("fit: split.labels", member, split.labels)
    return run_epochs(
        key, member, update, split, epochs=epochs, batch=batch, augment=augment, callback=callback,
        start_epoch=start_epoch, score=score, patience=patience, layout=layout, step=stepping(False),
    )  # fmt: skip


def run_epochs(
    key: jax.Array, member: Member, update: Update, split: Split, *, epochs: int, batch: int, augment: Augmentation,
    callback: Callable[[int, Member, Metrics], None] | None = None, start_epoch: int = 0,
    score: Callable[[Member], float] | None, patience: int | None, layout: Layout | None, step: Callable,
) -> tuple[Member, list[Metrics]]:  # fmt: skip
    """Does what `fit` does with arguments that were checked: looking at labels for each member would take a trace.

    Layout "steps" calls `step`, made by `stepping`.
    """
    layout = layout or ("steps" if jax.default_backend() == "cpu" else "scan")
    if layout == "steps":
        run = functools.partial(_epoch_of_steps, step, split.inputs, split.labels)
    else:
        # On the device once, not in every epoch.
        run = functools.partial(_epoch_as_scan, jnp.asarray(split.inputs), jnp.asarray(split.labels))
    # The programs below give their member's buffers away; the caller's stay whole.
    member = _copy(member)
    best, best_score, waited, history = member, -math.inf, 0, []
    if score is not None and start_epoch:
        # What an earlier part ended with is as good a candidate as what follows.
        best, first = _copy(member), float(score(member))
        best_score = -math.inf if math.isnan(first) else first
    for epoch in range(start_epoch, epochs):
        member, metrics = run(update, augment, fold_in(key, epoch), member, batch)
        metrics = {"epoch": epoch, **metrics}
        if score is not None:
            metrics["score"] = float(score(member))
            waited += 1
            if metrics["score"] > best_score or epoch == 0:
                best, waited = _copy(member), 0
                best_score = -math.inf if math.isnan(metrics["score"]) else metrics["score"]
        history.append(metrics)
        if callback is not None:
            callback(epoch, _copy(member), metrics)
        if patience is not None and waited >= patience:
            break
    return (member if score is None else best), history


@functools.cache
def stepping(brief: bool) -> Callable:
    """Makes the compiled step of an epoch, `(update, augment, key, index, member, batch) -> (member, metrics)`.

    It gives its member away. Where it is brief, a CPU compiles it with less optimisation.
    """
    options = compiler_options(OFTEN) if brief and jax.default_backend() == "cpu" else None
    return jax.jit(_step, static_argnums=(0, 1), donate_argnums=(4,), compiler_options=options)


def _step(update, augment, key, index, member, batch):
    return advance(update, augment, jax.random.fold_in(key, index), member, batch)


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=(3,))
def _scan(update, augment, key, member, inputs, labels, rows, masks):
    return scan(update, augment, key, member, inputs, labels, Plan(rows, masks))


def _epoch_of_steps(step, inputs, labels, update, augment, key, member, batch):
    steps_key, rows, masks = _planned(key, len(labels), batch)
    metrics = []
    for index, (row, mask) in enumerate(zip(rows, masks, strict=True)):
        taken = Batch(inputs[row], labels[row], mask)
        member, found = step(update, augment, steps_key, index, member, taken)
        metrics.append(found)
    stacked = jax.tree.map(lambda *values: np.stack(values), *jax.device_get(metrics))
    return member, _average(stacked, masks)


def _epoch_as_scan(inputs, labels, update, augment, key, member, batch):
    steps_key, rows, masks = _planned(key, len(labels), batch)
    member, metrics = _scan(update, augment, steps_key, member, inputs, labels, rows, masks)
    return member, _average(jax.device_get(metrics), masks)


def _planned(key: jax.Array, count: int, batch: int) -> tuple[jax.Array, np.ndarray, np.ndarray]:
    """Returns the key of an epoch's steps and its plan, on the host."""
    order_key, steps_key = jax.random.split(key)
    rows, masks = plan(order_key, count, batch)
    return steps_key, np.asarray(rows), np.asarray(masks)


def _average(metrics: Metrics, masks: np.ndarray) -> Metrics:
    """Means over the steps of an epoch, each step in proportion to the examples that count."""
    return {name: float(np.average(values, weights=masks.sum(1))) for name, values in metrics.items()}


def _copy(member: Member) -> Member:
    return jax.tree.map(jnp.copy, member)


def check_augment(where: str, augment: Any, split: Split) -> None:
    """Refuses an augmentation that would leave maps of labels where the pictures were; `where` starts the message."""
    if augment is not None and not callable(augment):
        raise TypeError(f"{where}: augment is {augment!r}, expected None or a function (key, inputs) -> inputs")
    if augment is None or not are_maps(split.labels):
        return
    if not isinstance(augment, Augment):
        raise TypeError(
            f"{where}: augment is {augment!r}, but labels are maps {list(split.labels.shape)} that must move with the "
            "inputs; take one of jaxevo.data.augment, or write Augment(function, maps) and say in maps what becomes of "
            "the labels"
        )
    if split.labels.shape[1:3] != split.inputs.shape[1:3]:
        raise ValueError(
            f"{where}: augment moves labels with the inputs, but labels are maps {list(split.labels.shape)} of inputs "
            f"{list(split.inputs.shape)}; expected the same height and width; leave augment out or enlarge the labels"
        )


def _check_fit(member, update, callback, split, epochs, batch, start_epoch, score, patience, layout) -> None:
    if not isinstance(member, Member):
        raise TypeError(f"fit: member is a {type(member).__name__}, expected a Member; make one with training.start")
    check_function("fit", "update", update, "(key, member, batch) -> (member, metrics)")
    for name, value, signature in (
        ("callback", callback, "(epoch, member, metrics)"), ("score", score, "member -> number"),
    ):  # fmt: skip
        if value is not None:
            check_function("fit", name, value, f"{signature}, or None")
    check_batch("fit", split, batch)
    if batch > len(split):
        raise ValueError(f"fit: batch is {batch}, but the split has {len(split)} examples; ask for no more than that")
    for name, value, least in (("start_epoch", start_epoch, 0), ("epochs", epochs, start_epoch)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"fit: {name} is {value!r}, expected a whole number of at least {least}")
    if patience is not None and (isinstance(patience, bool) or not isinstance(patience, int) or patience < 1):
        raise ValueError(f"fit: patience is {patience!r}, expected None or a whole number of at least 1")
    if patience is not None and score is None:
        raise ValueError("fit: patience needs a score; pass score=function of a member, larger is better")
    if layout not in (None, "steps", "scan"):
        raise ValueError(f"fit: layout is {layout!r}, expected None, 'steps' or 'scan'")
