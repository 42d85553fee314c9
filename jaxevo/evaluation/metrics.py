"""What networks are scored by: metrics over their outputs, and metrics over their genomes.

B is the batch size, C the number of classes, m the number of metrics. Networks over classes give logits [B, C], or maps
of them [B, ..., C] with a label for each position; a position labelled -1 counts nowhere. Metrics over outputs are sums
over examples, so that batches, devices and chunks may come in any order: the states of disjoint sets of examples add
up.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxevo.checks import check_size
from jaxevo.data import counted
from jaxevo.space import Space

PyTree = Any
Reads = Literal["classes", "values", "anything"]


@dataclasses.dataclass(frozen=True)
class Metric:
    """A number that a network is scored by; `-metric` turns its direction round.

    name: what tables and messages call it.
    larger_is_better: its direction; a fitness takes only metrics for which this holds.
    needs: "outputs" for a metric over a network's outputs on the examples, "genome" for one over its genome, "answers"
      for one that asks the network anything else, "sums" for one over sums that are finished on the host, "network" for
      one that is measured on the host.
    init: `() -> state`, a pytree of zeros; for "outputs".
    update: `(state, outputs, labels, mask) -> state`, pure and traceable; adds the examples of a batch whose mask is
      true. Outputs are float32 logits [B, ..., C] (of a network with probabilities, their logarithms; values come as
      they are), labels [B, ...], mask bool [B].
    finish: `state -> scalar`, traceable; for "sums" `sums -> float` on the host, of the sums in double precision.
    gather: for "sums" `(outputs, labels, mask, own) -> pytree`, traceable; what it gives of batches is added up.
    measure: for "genome" `(space, genome) -> scalar`, traceable in the genome; for "answers" `(answer, examples,
      own) -> scalar`, traceable, where `answer(inputs)` gives logits (or values) as `update` gets them, examples are
      batches with inputs [K, B, ...], labels and mask, and `own` is what the metric brought; for "network"
      `network -> scalar` of a decoded `Network`.
    own: for "answers" and "sums", pytree of arrays that the metric needs beside the examples; an argument of the
      program.
    details: what neither its name nor `own` says of it; a run that trains its members and is continued knows it by it.
    reads: what must come in: "classes" (logits over classes and whole-numbered labels), "values" (values and labels of
      their shape) or "anything".
    """

    name: str
    larger_is_better: bool
    needs: Literal["outputs", "genome", "answers", "sums", "network"]
    init: Callable[[], PyTree] | None = None
    update: Callable[[PyTree, PyTree, jax.Array, jax.Array], PyTree] | None = None
    finish: Callable[[PyTree], Any] | None = None
    measure: Callable[..., Any] | None = None
    reads: Reads = "classes"
    own: PyTree = None
    gather: Callable[[PyTree, PyTree, jax.Array, PyTree], PyTree] | None = None
    details: str = ""

    def __post_init__(self):
        measured = dict.fromkeys(("genome", "answers", "network"), ("measure",))
        wanted = {"outputs": ("init", "update", "finish"), "sums": ("gather", "finish"), **measured}
        if self.needs not in wanted:
            raise ValueError(f"Metric {self.name!r}: needs is {self.needs!r}, expected one of {', '.join(wanted)}")
        for part in wanted[self.needs]:
            if not callable(getattr(self, part)):
                raise TypeError(
                    f"Metric {self.name!r}: {part} is {getattr(self, part)!r}, expected a function; "
                    f"a metric that needs {self.needs!r} has {' and '.join(wanted[self.needs])}"
                )
        if self.reads not in ("classes", "values", "anything"):
            raise ValueError(
                f"Metric {self.name!r}: reads is {self.reads!r}, expected 'classes', 'values' or 'anything'"
            )

    def __neg__(self) -> "Metric":
        """Returns the same metric with its sign and its direction turned round."""
        name = self.name[1:] if self.name.startswith("-") else f"-{self.name}"
        turned = dataclasses.replace(self, name=name, larger_is_better=not self.larger_is_better)
        if self.needs not in ("outputs", "sums"):
            measure = self.measure
            return dataclasses.replace(turned, measure=lambda *asked: -measure(*asked))  # type: ignore
        finish = self.finish
        return dataclasses.replace(turned, finish=lambda state: -finish(state))  # type: ignore


class Mean(NamedTuple):
    """State of a metric that is a mean over examples, over positions of maps or over values.

    total: sum over what counted so far, int32 where the metric counts, so that it stays exact; else float32.
    count: how many counted so far, int32.
    """

    total: jax.Array
    count: jax.Array


def _mean(
    name: str,
    larger_is_better: bool,
    score: Callable[[jax.Array, jax.Array], jax.Array],
    dtype,
    reads: Reads = "classes",
) -> Metric:
    """Returns the metric that averages `score(outputs, labels)`, of the shape of the labels."""

    def update(state, outputs, labels, mask):
        labels = labels.reshape(outputs.shape) if reads == "values" else labels
        counts = counted(labels, mask)
        # `where`, never a product: a padded example may score NaN.
        scores = jnp.where(counts, score(outputs, labels).astype(dtype), 0)
        return Mean(state.total + scores.sum(dtype=dtype), state.count + counts.sum(dtype=jnp.int32))

    return Metric(
        name,
        larger_is_better,
        "outputs",
        init=lambda: Mean(jnp.zeros((), dtype), jnp.zeros((), jnp.int32)),
        update=update,
        finish=lambda state: state.total.astype(jnp.float32) / state.count.astype(jnp.float32),
        reads=reads,
    )


def _nll(logits, labels):
    chosen = jnp.take_along_axis(logits, jnp.maximum(labels, 0)[..., None], axis=-1)[..., 0]
    return jax.nn.logsumexp(logits, axis=-1) - chosen


def _brier(logits, labels):
    wanted = jax.nn.one_hot(labels, logits.shape[-1])
    return jnp.square(jax.nn.softmax(logits, axis=-1) - wanted).sum(axis=-1)


#: Share of examples, or of the positions of maps, whose largest logit is the label's, in [0, 1]; the first class wins a
#: tie.
accuracy = _mean("accuracy", True, lambda logits, labels: jnp.argmax(logits, axis=-1) == labels, jnp.int32)

#: Mean negative log-likelihood of the labels in nats, over examples or positions; in a fitness, write `-nll`.
nll = _mean("nll", False, _nll, jnp.float32)

#: Mean over examples or positions of the squared distance, summed over classes, of the probabilities from 1 for the
#: label's class and 0 for others; in [0, 2]. Brier 1950, "Verification of forecasts expressed in terms of probability".
#: In a fitness, write `-brier`.
brier = _mean("brier", False, _brier, jnp.float32)

#: Mean squared difference between values and labels, over examples and values; in a fitness, write
#: `-mean_squared_error`.
mean_squared_error = _mean(
    "mean_squared_error", False, lambda outputs, labels: jnp.square(outputs - labels), jnp.float32, reads="values"
)

#: Multiply-adds for one example, by `Space.cost`; in a fitness, write `-multiply_adds`. Fitness is float32: above 16.7
#: million, networks whose costs differ by less than a part in 16 million may tie.
multiply_adds = Metric("multiply_adds", False, "genome", measure=lambda space, genome: space.cost(genome).multiply_adds)

#: Number of parameters, by `Space.cost`; in a fitness, write `-parameters`.
parameters = Metric("parameters", False, "genome", measure=lambda space, genome: space.cost(genome).parameters)


def top_k(k: int) -> Metric:
    """Returns the share of examples or positions whose label is among the `k` largest logits; `top_k(1)` is `accuracy`.

    Args:
      k: number of guesses, at least 1 and at most the number of classes.

    Returns:
      The metric, named "top_k".

    Raises:
      ValueError: where k is no such number; more guesses than classes are refused when an evaluation is built.
    """
    check_size("top_k", "k", k)

    def hit(logits, labels):
        if k > logits.shape[-1]:
            raise ValueError(f"top_k: k is {k}, but the networks have {logits.shape[-1]} classes; choose a smaller k")
        return (jax.lax.top_k(logits, k)[1] == labels[..., None]).any(axis=-1)

    return _mean(f"top_{k}", True, hit, jnp.int32)


def check_metrics(
    where: str, metrics: Sequence[Metric], needs: Sequence[str] = ("outputs", "genome")
) -> tuple[Metric, ...]:
    """Checks the metrics that make a fitness.

    Args:
      where: whose argument they are, the start of the message.
      metrics: one metric per objective, each larger-is-better.
      needs: what metrics may need.

    Returns:
      The metrics as a tuple.

    Raises:
      TypeError: where an entry is no `Metric`.
      ValueError: where there are none, two have one name, one is better when it is smaller, or one needs what is not
        there.
    """
    if isinstance(metrics, Metric | str) or not isinstance(metrics, Sequence):
        raise TypeError(
            f"{where}: metrics is {metrics!r}, expected a list of metrics such as [accuracy, -multiply_adds]"
        )
    for metric in metrics:
        if not isinstance(metric, Metric):
            raise TypeError(
                f"{where}: metrics holds {metric!r}, expected a Metric; "
                "take one from jaxevo.evaluation.metrics, such as accuracy or -multiply_adds"
            )
        if not metric.larger_is_better:
            raise ValueError(
                f"{where}: metric {metric.name!r} is better when it is smaller, but fitness is larger-is-better; "
                f"write {(-metric).name}"
            )
        if metric.needs not in needs:
            raise ValueError(
                f"{where}: metric {metric.name!r} needs {metric.needs!r}, expected metrics that need "
                f"{' or '.join(map(repr, needs))}; evaluation.after takes all kinds"
            )
    names = [metric.name for metric in metrics]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"{where}: metrics are {names}, expected at least one and each only once")
    return tuple(metrics)


class Tally(NamedTuple):
    """Several metrics of one network, gathered batch by batch; three pure, traceable functions.

    init: `() -> state`; states of disjoint sets of examples add up, leaf by leaf.
    update: `(state, outputs, labels, mask) -> state`, outputs as the space's networks give them.
    finish: `(state, genome) -> fitness`, float32 [m].
    """

    init: Callable[[], PyTree]
    update: Callable[[PyTree, PyTree, jax.Array, jax.Array], PyTree]
    finish: Callable[[PyTree, PyTree], jax.Array]


def tally(space: Space, metrics: Sequence[Metric]) -> Tally:
    """Gathers several metrics of a network of a space.

    A network that gives one number that is not finite for an example that counts gets NaN for all metrics over outputs.

    Args:
      space: the space; says what the outputs are and what a genome costs.
      metrics: the m metrics, of either direction.

    Returns:
      The `Tally`.
    """
    over_outputs = tuple(metric for metric in metrics if metric.needs == "outputs")

    def init():
        return tuple(metric.init() for metric in over_outputs), jnp.zeros((), jnp.int32)  # type: ignore

    def update(state, outputs, labels, mask):
        states, broken = state
        broken = broken + (~_finite(outputs) & mask).sum(dtype=jnp.int32)
        outputs = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), outputs)
        if space.output == "probabilities":
            outputs = jax.tree.map(lambda leaf: jnp.log(jnp.maximum(leaf, jnp.finfo(jnp.float32).tiny)), outputs)
        steps = zip(over_outputs, states, strict=True)
        return tuple(metric.update(old, outputs, labels, mask) for metric, old in steps), broken  # type: ignore

    def finish(state, genome):
        states, broken = state
        finished = iter(states)
        fitness = [
            metric.measure(space, genome)  # type: ignore
            if metric.needs == "genome"
            else jnp.where(broken > 0, jnp.nan, metric.finish(next(finished)))  # type: ignore
            for metric in metrics
        ]
        return jnp.stack([jnp.asarray(value, jnp.float32) for value in fitness])

    return Tally(init, update, finish)


def _finite(outputs: PyTree) -> jax.Array:
    """Returns, for each example, whether all its outputs are finite: bool [B]."""
    leaves = [jnp.isfinite(leaf).reshape(leaf.shape[0], -1).all(axis=1) for leaf in jax.tree.leaves(outputs)]
    return jnp.stack(leaves).all(axis=0)
