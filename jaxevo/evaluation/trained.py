"""`after`: the evaluation that trains what it scores. n is the number of members, m that of metrics."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo import checkpoint, hosts
from jaxevo.checks import check_size
from jaxevo.evaluation.examples import Examples, check_split, check_task, stack
from jaxevo.evaluation.metrics import Metric, check_metrics, tally
from jaxevo.network import Member, check_inputs
from jaxevo.space import Space

PyTree = Any

NEEDS = ("outputs", "genome", "answers", "sums", "network")


class AfterTraining:
    """What `after` returns: `evaluate(key, params, members) -> (members, fitness)`; a host step.

    It counts the members and epochs that it has trained; `memory` holds these counts for a search to save.
    """

    def __init__(self, fit: Callable, space: Space, examples: Examples, metrics: tuple[Metric, ...]):
        self.fit, self.space, self.metrics = fit, space, metrics
        self._examples = jax.device_put(examples)
        self._own = jax.device_put([metric.own for metric in metrics])
        self._outputs = tally(space, [metric for metric in metrics if metric.needs == "outputs"])
        self._add, self._measure = jax.jit(self._added), jax.jit(self._measured)
        self._sums = [index for index, metric in enumerate(metrics) if metric.needs == "sums"]
        self._counts = np.zeros(2, np.int64)

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the columns of the fitness."""
        return tuple(metric.name for metric in self.metrics)

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this evaluation, beside its objectives: how members are trained, the examples, the metrics."""
        examples = jax.device_get((self._examples, self._own))
        return {
            "fit": getattr(self.fit, "identity", None),
            "examples": checkpoint.digest(examples),
            "metrics": [f"{metric.name} {metric.details}".rstrip() for metric in self.metrics],
        }

    def __call__(self, key: jax.Array, params: PyTree, members: Member) -> tuple[Member, np.ndarray]:
        """Trains members and scores them.

        Args:
          key: member i trains with `fold_in(key, i)`; or n keys, one for each member.
          params: not used: members have parameters of their own.
          members: stacked [n, ...], as strategies propose them for the space.

        Returns:
          The members as training left them, and their fitness, float32 [n, m], larger is better; NaN for a member with
          an output that is not finite.

        Raises:
          TypeError: where they are no members.
        """
        del params
        if not isinstance(members, Member):
            raise TypeError(
                f"after: members is a {type(members).__name__}, expected stacked Members of space {self.space.name!r}; "
                "jax.vmap(space.init)(keys, genomes) makes them"
            )
        fitted = self.fit(key, members)
        self._counts = self._counts + np.array([len(fitted.epochs), np.sum(fitted.epochs)], np.int64)
        return fitted.members, self.score(fitted.members)

    def score(self, members: Member) -> np.ndarray:
        """Returns the fitness [n, m] of members as they are.

        Args:
          members: stacked [n, ...].
        """
        count = len(jax.tree.leaves(members)[0])
        scored = [self._score(jax.tree.map(lambda leaf, i=i: leaf[i], members)) for i in hosts.own(count)]
        return hosts.exchange(scored, count)

    def report(self) -> dict[str, int]:
        """Returns the numbers of its work so far: members and epochs trained."""
        return {"trained": int(self._counts[0]), "epochs": int(self._counts[1])}

    @property
    def memory(self) -> PyTree:
        """The counts of `report`, as an array that a checkpoint can hold."""
        return {"counts": self._counts}

    def restore(self, memory: PyTree) -> None:
        """Takes back what `memory` gave."""
        self._counts = np.asarray(memory["counts"])

    def check_metrics(self) -> None:
        """Traces what scores a member, so that a metric that does not fit is met before members were trained."""
        member = jax.eval_shape(self.space.init, jax.random.key(0, impl="threefry2x32"), self.space.genome)  # pyright: ignore[reportArgumentType]
        rows = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), self._examples)
        own = [self._own[index] for index in self._sums]
        state, _ = jax.eval_shape(self._add, self._outputs.init(), member, rows, own)
        jax.eval_shape(self._measure, state, member, self._examples, self._own)

    def _score(self, member: Member) -> np.ndarray:
        member = jax.device_put(member._replace(optimizer_state=None))
        state, totals = self._outputs.init(), None
        for batch in range(len(self._examples.mask)):
            rows = jax.tree.map(lambda leaf, k=batch: leaf[k], self._examples)
            state, sums = self._add(state, member, rows, [self._own[index] for index in self._sums])
            sums = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), jax.device_get(sums))
            totals = sums if totals is None else jax.tree.map(np.add, totals, sums)
        found = np.array(self._measure(state, member, self._examples, self._own))
        for index, total in zip(self._sums, totals or (), strict=True):
            found[index] = self.metrics[index].finish(total)  # pyright: ignore[reportOptionalCall]
        for index, metric in enumerate(self.metrics):
            if metric.needs == "network":
                found[index] = metric.measure(self.space.network(jax.device_get(member)))  # pyright: ignore[reportOptionalCall]
        return found

    def _added(self, state: PyTree, member: Member, rows: Examples, own: list[PyTree]) -> tuple[PyTree, list[PyTree]]:
        """Returns the state with one batch more, and what metrics that need sums gather of it."""
        outputs = self._answer(member, rows.inputs)
        state = self._outputs.update(state, outputs, rows.labels, rows.mask)
        metrics = (self.metrics[index] for index in self._sums)
        gathered = [
            metric.gather(outputs, rows.labels, rows.mask, brought)  # pyright: ignore[reportOptionalCall]
            for metric, brought in zip(metrics, own, strict=True)
        ]
        return state, gathered

    def _measured(self, state: PyTree, member: Member, examples: Examples, own: list[PyTree]) -> jax.Array:
        """Returns the fitness [m], NaN in place of what is measured on the host."""
        over_outputs = iter(self._outputs.finish(state, member.genome)) if self._over_outputs() else iter(())
        answer = functools.partial(self._logits, member)
        found = []
        for metric, brought in zip(self.metrics, own, strict=True):
            if metric.needs == "outputs":
                found.append(next(over_outputs))
            elif metric.needs == "genome":
                found.append(metric.measure(self.space, member.genome))  # pyright: ignore[reportOptionalCall]
            elif metric.needs == "answers":
                found.append(metric.measure(answer, examples, brought))  # pyright: ignore[reportOptionalCall]
            else:
                found.append(jnp.nan)
        return jnp.stack([jnp.asarray(value, jnp.float32) for value in found])

    def _over_outputs(self) -> bool:
        return any(metric.needs == "outputs" for metric in self.metrics)

    def _answer(self, member: Member, inputs: PyTree) -> PyTree:
        return self.space.apply({"params": member.params, "state": member.state}, member.genome, inputs)

    def _logits(self, member: Member, inputs: PyTree) -> PyTree:
        """Returns what metrics read: logits, the logarithms of probabilities, or values."""
        check_inputs("after: examples of a metric", self.space.inputs, inputs)
        outputs = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), self._answer(member, inputs))
        if self.space.output != "probabilities":
            return outputs
        return jax.tree.map(lambda leaf: jnp.log(jnp.maximum(leaf, jnp.finfo(jnp.float32).tiny)), outputs)


def after(fit: Any, split: Any, metrics: Sequence[Metric], *, batch: int = 256) -> AfterTraining:
    """Builds the evaluation that trains each member before it is scored.

    Args:
      fit: `(key, members) -> Fitted` with the `space` of its members, as `training.population` makes it.
      split: the examples to score on, `split.inputs` [N, ...] and `split.labels` [N, ...]; not those of the test split,
        which is for reports.
      metrics: the m objectives, each larger-is-better, of all kinds.
      batch: examples per call, at most N.

    Returns:
      The evaluation; the examples lie on the device.

    Raises:
      TypeError, ValueError: where an argument is not as described, or the networks do not fit split or metrics.
    """
    space = getattr(fit, "space", None)
    if not callable(fit) or not isinstance(space, Space) or space.init is None:
        raise TypeError(
            f"after: fit is {fit!r}, expected what training.population makes for a space whose members are trained"
        )
    metrics = check_metrics("after", metrics, NEEDS)
    check_size("after", "batch", batch)
    count = check_split("after", space, split)
    check_task("after", space, space.genome, metrics, split.labels)
    evaluation = AfterTraining(fit, space, stack(split, count, min(batch, count), 1), metrics)
    evaluation.check_metrics()
    return evaluation
