"""`mean_iou`: how far what is predicted of each class overlaps with what is labelled so, for maps of classes.

C is the number of classes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxevo.data import counted
from jaxevo.evaluation.metrics import Metric


class Overlap(NamedTuple):
    """State of `mean_iou`: counts of positions for each class, int32 [C].

    both: predicted as the class and labelled so.
    predicted: predicted as the class.
    labelled: labelled so.
    """

    both: jax.Array
    predicted: jax.Array
    labelled: jax.Array


def mean_iou(classes: int) -> Metric:
    """Returns the mean over classes of intersection over union, counted over all positions of all examples.

    Everingham et al., "The Pascal Visual Object Classes Challenge: a retrospective", IJCV 111, 2015: for each class,
    positions predicted and labelled so over positions predicted or labelled so. The mean is over the classes that
    occur, in predictions or in labels.

    Args:
      classes: number C of classes of the networks, at least 2.

    Returns:
      The metric, named "mean_iou", in [0, 1].

    Raises:
      ValueError: where classes is no such number; another number than the networks have is refused when an evaluation
        is built.
    """
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < 2:
        raise ValueError(f"mean_iou: classes is {classes!r}, expected a whole number of at least 2")

    def count(which, weights):
        return jnp.zeros(classes, jnp.int32).at[which.reshape(-1)].add(weights.reshape(-1).astype(jnp.int32))

    def update(state, logits, labels, mask):
        if logits.shape[-1] != classes:
            raise ValueError(
                f"mean_iou: classes is {classes}, but the networks have {logits.shape[-1]}; pass their number"
            )
        predicted, counts = jnp.argmax(logits, axis=-1), counted(labels, mask)
        # Labels that do not count are added as nothing to class 0: an index below 0 would count from the end.
        named = jnp.maximum(labels, 0)
        return Overlap(
            state.both + count(predicted, counts & (predicted == labels)),
            state.predicted + count(predicted, counts),
            state.labelled + count(named, counts),
        )

    def finish(state):
        union = state.predicted + state.labelled - state.both
        ratios = state.both.astype(jnp.float32) / jnp.maximum(union, 1).astype(jnp.float32)
        return ratios.sum() / (union > 0).sum().astype(jnp.float32)

    return Metric(
        "mean_iou",
        True,
        "outputs",
        init=lambda: Overlap(*jnp.zeros((3, classes), jnp.int32)),
        update=update,
        finish=finish,
    )
