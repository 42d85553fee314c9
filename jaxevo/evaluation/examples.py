"""A split laid out for evaluation: batches of one size, stacked, the last one padded; and whether it fits the networks.

N is the number of examples, K that of batches, B the batch size, C the number of classes.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo import checkpoint
from jaxevo.data import check_targets
from jaxevo.evaluation.metrics import Metric, tally
from jaxevo.network import batched, check_inputs
from jaxevo.space import Space

PyTree = Any

#: Networks are looked at with so many examples; a graph that was traced holds its program for this size.
LOOK = 2

#: What metrics count in, int32, holds so many examples or positions.
LARGEST = 2**31


class Examples(NamedTuple):
    """A split in K batches of B, the last one padded with examples that do not count.

    inputs: pytree of arrays [K, B, ...].
    labels: [K, B, ...].
    mask: bool [K, B], false for padding.
    """

    inputs: PyTree
    labels: Any
    mask: Any


def stack(split: Any, count: int, batch: int, multiple: int) -> Examples:
    """Cuts a split into batches on the host; `batch` is rounded up to a multiple of `multiple`."""
    batch = -(-batch // multiple) * multiple
    batches = -(-count // batch)

    def one(leaf):
        leaf = np.asarray(leaf)
        padding = [(0, batches * batch - count)] + [(0, 0)] * (leaf.ndim - 1)
        return np.pad(leaf, padding).reshape(batches, batch, *leaf.shape[1:])

    return Examples(jax.tree.map(one, split.inputs), one(split.labels), one(np.ones(count, bool)))


def identity_of(examples: Examples) -> dict[str, str]:
    """Returns what makes an evaluation one on these examples, however they are cut into batches.

    Args:
      examples: on the host.
    """
    count = np.asarray(examples.mask).reshape(-1)
    rows = jax.tree.map(lambda leaf: np.asarray(leaf).reshape(-1, *leaf.shape[2:])[count], examples)
    return {"examples": checkpoint.digest(rows)}


def check_split(where: str, space: Space, split: Any) -> int:
    """Returns the number N of examples of a split whose inputs fit the space."""
    if not hasattr(split, "inputs") or not hasattr(split, "labels"):
        raise TypeError(f"{where}: split is {type(split).__name__}, expected inputs and labels; see jaxevo.data.arrays")
    count = check_inputs(f"{where} on space {space.name!r}", space.inputs, split.inputs)
    if np.ndim(split.labels) < 1 or len(split.labels) != count:
        raise ValueError(
            f"{where}: split.labels have shape {list(np.shape(split.labels))}, expected [{count}, ...], one per example"
        )
    return count


def check_task(where: str, space: Space, genome: PyTree, metrics: Sequence[Metric], labels: Any) -> None:
    """Refuses metrics that do not fit what the networks of a space give, or labels that do not fit both.

    Nothing is compiled: outputs are looked at by a trace.

    Args:
      where: whose arguments they are, the start of the message.
      space: the space.
      genome: one genome, or its `ShapeDtypeStruct`s.
      metrics: the metrics.
      labels: labels of the split, [N, ...].

    Raises:
      ValueError: where they do not fit.
    """
    over_outputs = [metric for metric in metrics if metric.needs == "outputs"]
    if not over_outputs:
        return
    labels = np.asarray(labels)
    outputs = jax.eval_shape(space.apply, space.params, genome, batched(space.inputs, LOOK))
    for metric in over_outputs:
        _check_metric(where, space, metric, outputs, labels)
    if any(metric.reads != "anything" for metric in over_outputs) and labels.size >= LARGEST:
        raise ValueError(
            f"{where}: split.labels hold {labels.size} numbers, expected less than 2**31, which metrics count up to; "
            "score fewer examples"
        )
    some = jax.ShapeDtypeStruct((LOOK, *labels.shape[1:]), jnp.result_type(labels))
    gathered = tally(space, over_outputs)
    jax.eval_shape(gathered.update, gathered.init(), outputs, some, jax.ShapeDtypeStruct((LOOK,), bool))


def _check_metric(where: str, space: Space, metric: Metric, outputs: PyTree, labels: np.ndarray) -> None:
    if metric.reads == "anything":
        return
    shape = getattr(outputs, "shape", ())
    fits = len(shape) > 1 and space.output != "values" if metric.reads == "classes" else space.output == "values"
    if not fits or not shape:
        wanted = {"classes": "logits or probabilities [B, ..., C]", "values": "values [B, ...]"}[metric.reads]
        raise ValueError(
            f"{where}: metric {metric.name!r} reads {metric.reads}, but networks of space {space.name!r} give "
            f"{space.output} {jax.tree.map(lambda leaf: list(leaf.shape), outputs)}; expected {wanted}, or a Metric of "
            "your own with reads='anything'"
        )
    check_targets(f"{where}: split.labels", labels, shape, metric.reads)
