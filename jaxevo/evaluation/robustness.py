"""Robustness: how well a network tells examples that it knows from those of other distributions.

A detector scores each example, larger for the distribution that the network was trained on; `auroc` is the area under
the receiver operating characteristic of such scores. B is the batch size, C the number of classes.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.checkpoint.functions import known_as
from jaxevo.checks import as_numbers
from jaxevo.evaluation.metrics import Metric

#: `answer`: inputs to logits [B, C].
Answer = Callable[[jax.Array], jax.Array]

#: `(answer, inputs) -> scores [B]`, traceable.
Detector = Callable[[Answer, jax.Array], jax.Array]

#: Examples at a time, where a metric brings its own.
_BATCH = 256


@dataclasses.dataclass(frozen=True)
class _NamedDetector:
    """A detector with the name by which a run that is continued knows it, with its settings."""

    detect: Detector
    name: str

    def __call__(self, answer: Answer, inputs: jax.Array) -> jax.Array:
        """Scores examples."""
        return self.detect(answer, inputs)


def max_softmax(answer: Answer, inputs: jax.Array) -> jax.Array:
    """Scores examples by the largest probability: the baseline of Hendrycks and Gimpel 2017 (arXiv 1610.02136).

    Args:
      answer: gives logits [B, C] of inputs.
      inputs: [B, ...].

    Returns:
      [B], in [1 / C, 1].
    """
    return jax.nn.softmax(answer(inputs), axis=-1).max(axis=-1)


def odin(temperature: float = 1000.0, epsilon: float = 0.0) -> Detector:
    """Makes the detector ODIN: softmax with a temperature, after a step that makes the network surer.

    Liang, Li and Srikant 2018, "Enhancing the reliability of out-of-distribution image detection in neural networks"
    (arXiv 1706.02690), equations 1 to 3: `max_i softmax_i(f(x') / T)` at
    `x' = x - epsilon * sign(-grad_x log max_i softmax_i(f(x) / T))`.

    Args:
      temperature: T, above 0.
      epsilon: size of the step in units of the inputs, at least 0; 0 for none, as in the code of MO-EvoPruneDeepTL.

    Returns:
      The detector. At high temperatures scores differ by little more than float32 can hold, so that they come as
      differences from 1 / C.

    Raises:
      ValueError: where a setting is out of range.
    """
    _check_number("odin", "temperature", temperature, positive=True)
    _check_number("odin", "epsilon", epsilon, positive=False)

    def detect(answer, inputs):
        def surest(inputs):
            return jax.nn.log_softmax(answer(inputs) / temperature, axis=-1).max(axis=-1)

        if epsilon:
            # Examples do not meet, so that the gradient of the sum holds that of each.
            gradient = jax.grad(lambda inputs: surest(inputs).sum())(inputs)
            inputs = inputs - epsilon * jnp.sign(-gradient)
        return _above_uniform(answer(inputs) / temperature)

    return _NamedDetector(detect, f"odin({float(temperature)}, {float(epsilon)})")


def energy(temperature: float = 1.0) -> Detector:
    """Makes the energy detector: `T log sum_i exp(f_i(x) / T)`, minus the free energy.

    Liu, Wang, Owens and Li 2020, "Energy-based out-of-distribution detection" (arXiv 2010.03759), equation 4.

    Args:
      temperature: T, above 0.

    Returns:
      The detector.

    Raises:
      ValueError: where the temperature is not above 0.
    """
    _check_number("energy", "temperature", temperature, positive=True)

    def detect(answer, inputs):
        return temperature * jax.nn.logsumexp(answer(inputs) / temperature, axis=-1)

    return _NamedDetector(detect, f"energy({float(temperature)})")


def auroc(others: Any, detector: Detector | None = None, name: str = "auroc") -> Metric:
    """Makes the metric of how well a detector tells the examples that a network is scored on from others.

    Args:
      others: examples of other distributions: a split, whose labels are not looked at, or several, taken together.
      detector: by default `odin()`. A run that is continued knows those of this module with their settings, others by
        their `name` or that of their definition.
      name: of the metric; give each its own where there are two.

    Returns:
      The metric, in [0, 1], larger is better, 0.5 for chance; ties count one half, as in scikit-learn.

    Raises:
      TypeError, ValueError: where arguments are not as above.
    """
    splits = [others] if hasattr(others, "inputs") else others
    if not isinstance(splits, Sequence) or not splits or not all(hasattr(split, "inputs") for split in splits):
        raise TypeError(f"auroc: others is {others!r}, expected a split or a list of splits; see jaxevo.data.arrays")
    shapes = {np.shape(split.inputs)[1:] for split in splits}
    if len(shapes) > 1:
        raise ValueError(f"auroc: others hold examples of shapes {sorted(map(list, shapes))}, expected one shape")
    detect = odin() if detector is None else detector
    if not callable(detect):
        raise TypeError(f"auroc: detector is {detector!r}, expected None or one such as evaluation.energy()")
    if not isinstance(name, str):
        raise TypeError(f"auroc: name is {name!r}, expected a string, what tables call the metric")
    inputs = np.concatenate([np.asarray(split.inputs) for split in splits])

    def measure(answer, examples, own):
        known = _scores(functools.partial(detect, answer), examples.inputs)
        other = _scores(functools.partial(detect, answer), own["inputs"])
        return _area(known.reshape(-1), examples.mask.reshape(-1), other.reshape(-1), own["mask"].reshape(-1))

    return Metric(name, True, "answers", measure=measure, own=_batches(inputs), details=known_as(detect))


def roc_area(known: Any, others: Any) -> float:
    """Returns the area under the receiver operating characteristic: how often a known example outscores another.

    Mann and Whitney's statistic, ties counting one half, as `sklearn.metrics.roc_auc_score` has it.

    Args:
      known: scores of examples of the known distribution, finite, at least one.
      others: scores of the others.

    Returns:
      In [0, 1]; 0.5 for chance.

    Raises:
      ValueError: where one of both holds nothing or a number that is not finite.
    """
    known, others = (
        as_numbers("roc_area", name, one).reshape(-1) for name, one in (("known", known), ("others", others))
    )
    for name, one in (("known", known), ("others", others)):
        if not one.size or not np.isfinite(one).all():
            raise ValueError(f"roc_area: {name} is {one}, expected at least one finite score")
    below, up_to = (np.searchsorted(np.sort(others), known, side) for side in ("left", "right"))
    return float((below + up_to).sum() / (2 * len(known) * len(others)))


def _above_uniform(scaled: jax.Array) -> jax.Array:
    """Returns the largest softmax of [B, C] less 1 / C, without the cancellation of a plain difference."""
    below = jnp.expm1(scaled - scaled.max(axis=-1, keepdims=True)).sum(axis=-1)
    classes = scaled.shape[-1]
    return -below / (classes * (classes + below))


def _area(known: jax.Array, counts: jax.Array, others: jax.Array, counted: jax.Array) -> jax.Array:
    """Returns the area from padded scores; NaN where a score that counts is not finite."""
    # Padding goes to the end, behind all that a known example can outscore.
    ordered = jnp.sort(jnp.where(counted, others, jnp.inf))
    below, up_to = (jnp.searchsorted(ordered, known, side) for side in ("left", "right"))
    share = jnp.where(counts, below.astype(jnp.float32) + up_to, 0).sum()
    area = share / (2 * counts.sum().astype(jnp.float32) * counted.sum())
    finite = jnp.where(counts, jnp.isfinite(known), True).all() & jnp.where(counted, jnp.isfinite(others), True).all()
    return jnp.where(finite, area, jnp.nan)


def _scores(detect: Callable[[jax.Array], jax.Array], batches: jax.Array) -> jax.Array:
    """Returns the scores [K, B] of batches [K, B, ...]."""
    # One batch needs no loop, inside of which convolutions are slow on CPUs.
    return detect(batches[0])[None] if len(batches) == 1 else jax.lax.map(detect, batches)


def _batches(inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Cuts examples into batches [K, B, ...], the last one padded, and says which count [K, B]."""
    size = min(_BATCH, len(inputs))
    count = -(-len(inputs) // size)
    padded = np.pad(inputs, [(0, count * size - len(inputs))] + [(0, 0)] * (inputs.ndim - 1))
    mask = np.arange(count * size) < len(inputs)
    return {"inputs": padded.reshape(count, size, *inputs.shape[1:]), "mask": mask.reshape(count, size)}


def _check_number(where: str, name: str, value: Any, positive: bool) -> None:
    number = not isinstance(value, bool) and isinstance(value, int | float) and np.isfinite(value)
    if not number or value < 0 or (positive and value == 0):
        wanted = "above 0" if positive else "of at least 0"
        raise ValueError(f"{where}: {name} is {value!r}, expected a finite number {wanted}")
