"""Detectors of what is not of the distribution, against formulas and scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from jaxevo import evaluation
from jaxevo.data import Split
from jaxevo.evaluation.examples import stack

RNG = np.random.default_rng(0)
W = jnp.asarray(RNG.normal(size=(5, 4)), jnp.float32)
INPUTS = RNG.normal(size=(40, 5)).astype(np.float32)
OTHERS = Split(RNG.normal(size=(33, 5)).astype(np.float32) * 0.7, np.zeros(33, np.int32))


def answer(inputs):
    return jnp.tanh(inputs) @ W


@pytest.mark.parametrize("steps", [0, 3])
def test_the_area_is_that_of_scikit_learn_with_ties(steps):
    known, others = RNG.normal(size=50) + 0.5, RNG.normal(size=70)
    if steps:
        known, others = (np.round(one * steps) / steps for one in (known, others))
    expected = roc_auc_score(np.repeat([1, 0], (50, 70)), np.concatenate([known, others]))
    assert evaluation.roc_area(known, others) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "detector", [evaluation.max_softmax, evaluation.odin(), evaluation.energy(), lambda a, x: jnp.round(2 * a(x)[:, 0])]
)
def test_the_metric_is_that_of_scikit_learn_whatever_the_batches(detector):
    metric = evaluation.auroc([OTHERS, OTHERS], detector)
    scores = [np.asarray(detector(answer, x), np.float64) for x in (INPUTS, OTHERS.inputs, OTHERS.inputs)]
    truth = np.repeat([1, 0], (len(INPUTS), 2 * len(OTHERS)))
    expected = roc_auc_score(truth, np.concatenate(scores))
    for batch in (7, 40):
        examples = stack(Split(INPUTS, np.zeros(40, np.int32)), 40, batch, 1)
        found = jax.jit(lambda examples, own: metric.measure(answer, examples, own))(examples, metric.own)
        assert float(found) == pytest.approx(expected, abs=1e-6)


def test_odin_with_a_step_is_the_formula_of_its_gradient():
    temperature, epsilon = 10.0, 0.05

    def surest(x):
        return jax.nn.softmax(answer(x[None])[0] / temperature).max()

    moved = []
    for x in jnp.asarray(INPUTS):
        moved.append(x - epsilon * jnp.sign(-jax.grad(lambda x: jnp.log(surest(x)))(x)))
    expected = np.array([surest(x) for x in moved])
    found = evaluation.odin(temperature, epsilon)(answer, INPUTS)
    np.testing.assert_allclose(found + 1 / 4, expected, rtol=1e-5)
    assert np.mean(np.asarray(found) > np.asarray(evaluation.odin(temperature)(answer, INPUTS))) > 0.9


def test_odin_keeps_apart_at_high_temperatures_what_float32_would_round_together():
    logits = jnp.asarray([[1.0, 0.0, 0.0], [1.0001, 0.0, 0.0]])
    scores = np.asarray(evaluation.odin(1e5)(lambda x: x, logits))
    assert scores[1] > scores[0]


def test_energy_and_max_softmax_are_their_formulas():
    logits = np.asarray(answer(INPUTS), np.float64)
    energy = 2.0 * np.log(np.exp(logits / 2.0).sum(axis=1))
    np.testing.assert_allclose(evaluation.energy(2.0)(answer, INPUTS), energy, rtol=1e-5)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(evaluation.max_softmax(answer, INPUTS), softmax.max(axis=1), rtol=1e-5)


def test_a_score_that_is_not_finite_gives_no_area():
    metric = evaluation.auroc(OTHERS, lambda answer, inputs: jnp.where(inputs[:, 0] > 1, jnp.nan, inputs[:, 0]))
    examples = stack(Split(INPUTS, np.zeros(40, np.int32)), 40, 40, 1)
    assert np.isnan(float(metric.measure(answer, examples, metric.own)))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: evaluation.odin(0.0), ValueError, "temperature is 0.0"),
        (lambda: evaluation.odin(epsilon="a"), ValueError, "epsilon is 'a'"),
        (lambda: evaluation.energy(-1), ValueError, "temperature is -1"),
        (lambda: evaluation.auroc(INPUTS), TypeError, "expected a split or a list of splits"),
        (lambda: evaluation.auroc([OTHERS, Split(INPUTS[:, :3], OTHERS.labels)]), ValueError, "expected one shape"),
        (lambda: evaluation.auroc(OTHERS, 3), TypeError, "detector is 3"),
        (lambda: evaluation.roc_area([], [1.0]), ValueError, "known is"),
        (lambda: evaluation.latency(0), ValueError, "batch is 0"),
    ],
)
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_evaluations_of_genomes_refuse_metrics_that_ask_more():
    from tests.evaluation.test_metrics import space

    split = Split(INPUTS[:, :3], np.zeros(40, np.int32))
    with pytest.raises(ValueError, match=r"'auroc' needs 'answers'.*evaluation\.after"):
        evaluation.population(space(), split, [evaluation.auroc(OTHERS)])
