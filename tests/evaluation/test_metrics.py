"""Metrics count each example once, know their direction and refuse to be used the wrong way round."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo.evaluation.metrics import (
    Metric,
    accuracy,
    check_metrics,
    mean_squared_error,
    multiply_adds,
    nll,
    parameters,
    tally,
    top_k,
)
from jaxevo.network import Network
from jaxevo.space import Cost, Space


def space(output="logits"):
    """The space of x @ W whose genome is a mask over the 3 input features."""
    params = {"w": jnp.eye(3)}
    spec = jax.ShapeDtypeStruct((3,), jnp.float32)

    def apply(params, genome, inputs):
        return (inputs * genome) @ params["w"]

    return Space(
        name="masks",
        params=params,
        inputs=spec,
        sample=lambda key, n: jax.random.bernoulli(key, shape=(n, 3)).astype(jnp.float32),
        vary=lambda key, a, b: jnp.where(jax.random.bernoulli(key, shape=a.shape), a, b),
        apply=apply,
        decode=lambda params, genome: Network(lambda p, x: apply(p, genome, x), params, spec),
        cost=lambda genome: Cost(3.0 * genome.sum(), 9.0),
        output=output,
    )


def score(metric, logits, labels, sizes=(4, 3, 5)):
    """Scores in padded batches of the given sizes."""
    state, start = metric.init(), 0
    for size in sizes:
        part, padding = slice(start, start + size), max(sizes) - size
        state = jax.jit(metric.update)(
            state,
            jnp.pad(logits[part], [(0, padding)] + [(0, 0)] * (logits.ndim - 1), constant_values=np.nan),
            jnp.pad(labels[part], [(0, padding)] + [(0, 0)] * (labels.ndim - 1)),
            jnp.arange(max(sizes)) < size,
        )
        start += size
    return float(metric.finish(state))


def examples(n=12, classes=5):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, classes)).astype(np.float32), rng.integers(classes, size=n)


@pytest.mark.smoke
def test_accuracy_and_nll_equal_numpy_whatever_the_padding():
    logits, labels = examples()
    assert score(accuracy, logits, labels) == pytest.approx(np.mean(logits.argmax(1) == labels))
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert score(nll, logits, labels) == pytest.approx(-log_p[np.arange(12), labels].mean(), rel=1e-6)


def test_top_k_equals_sorting_and_top_1_is_accuracy():
    logits, labels = examples()
    best = np.argsort(-logits, axis=1)[:, :3]
    assert score(top_k(3), logits, labels) == pytest.approx(np.mean((best == labels[:, None]).any(1)))
    assert score(top_k(1), logits, labels) == score(accuracy, logits, labels)
    ties = np.zeros_like(logits)
    assert score(top_k(1), ties, labels) == score(accuracy, ties, labels)


@pytest.mark.smoke
@pytest.mark.parametrize("metric", [accuracy, nll, top_k(2)])
def test_maps_score_as_their_positions_do_and_ignored_ones_count_nowhere(metric):
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(12, 4, 3, 5)).astype(np.float32), rng.integers(-1, 5, size=(12, 4, 3))
    counts = labels >= 0
    flat = score(metric, logits[counts], labels[counts], sizes=(100, int(counts.sum()) - 100))
    assert score(metric, logits, labels) == pytest.approx(flat, rel=1e-6)


@pytest.mark.parametrize(
    ("outputs", "labels"), [((12, 1), (12,)), ((12,), (12,)), ((12, 3), (12, 3)), ((12, 1), (12, 1))]
)
def test_mean_squared_error_equals_numpy_and_never_spreads_labels_over_outputs(outputs, labels):
    rng = np.random.default_rng(2)
    values, targets = (rng.normal(size=shape).astype(np.float32) for shape in (outputs, labels))
    expected = np.mean((values.reshape(12, -1) - targets.reshape(12, -1)) ** 2)
    assert score(mean_squared_error, values, targets) == pytest.approx(expected, rel=1e-6)


def test_counts_stay_exact_beyond_the_whole_numbers_of_float32():
    state = accuracy.init()
    state = state._replace(total=jnp.int32(2**24), count=jnp.int32(2**24))
    state = accuracy.update(state, jnp.eye(1, 2), jnp.zeros(1, jnp.int32), jnp.ones(1, bool))
    assert int(state.total) == 2**24 + 1


def test_negation_turns_name_direction_and_value_and_twice_is_none():
    logits, labels = examples()
    assert (-nll).name == "-nll"
    assert (-nll).larger_is_better
    assert score(-nll, logits, labels) == -score(nll, logits, labels)
    negated = -multiply_adds
    assert (-negated).name == "multiply_adds"
    assert negated.measure(space(), jnp.ones(3)) == -9


def test_states_of_disjoint_examples_add_up():
    logits, labels = examples()
    counts = tally(space(), [accuracy, nll])
    mask = jnp.arange(12) < 7
    parts = [counts.update(counts.init(), logits, labels, which) for which in (mask, ~mask)]
    both = jax.tree.map(jnp.add, *parts)
    whole = counts.update(counts.init(), logits, labels, jnp.ones(12, bool))
    np.testing.assert_allclose(counts.finish(both, jnp.ones(3)), counts.finish(whole, jnp.ones(3)), rtol=1e-6)


def test_tally_keeps_the_order_of_the_metrics_and_takes_costs_from_the_space():
    logits, labels = examples(classes=3)
    counts = tally(space(), [-multiply_adds, accuracy, -parameters])
    state = counts.update(counts.init(), logits, labels, jnp.ones(12, bool))
    fitness = counts.finish(state, jnp.asarray([1.0, 0, 1]))
    assert fitness.dtype == jnp.float32
    np.testing.assert_allclose(fitness, [-6, np.mean(logits.argmax(1) == labels), -9])


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_one_output_that_is_not_finite_makes_scores_nan_unless_it_is_padding(broken):
    logits, labels = examples(classes=3)
    logits[5, 1] = broken
    counts = tally(space(), [accuracy, -multiply_adds])
    for counted in (True, False):
        mask = jnp.ones(12, bool).at[5].set(counted)
        fitness = counts.finish(counts.update(counts.init(), logits, labels, mask), jnp.ones(3))
        assert bool(jnp.isnan(fitness[0])) is counted
        assert fitness[1] == -9


def test_probabilities_score_as_their_logarithms_and_zero_stays_finite():
    logits, labels = examples(classes=3)
    probabilities = jax.nn.softmax(logits)
    metrics = [accuracy, -nll]
    scores = []
    for kind, outputs in (("logits", logits), ("probabilities", probabilities)):
        counts = tally(space(kind), metrics)
        scores.append(counts.finish(counts.update(counts.init(), outputs, labels, jnp.ones(12, bool)), None))
    np.testing.assert_allclose(*scores, rtol=1e-5)
    counts = tally(space("probabilities"), [-nll])
    state = counts.update(counts.init(), jnp.eye(1, 3), jnp.ones(1, jnp.int32), jnp.ones(1, bool))
    assert np.isfinite(counts.finish(state, None)).all()


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        ([accuracy, multiply_adds], ValueError, "write -multiply_adds"),
        ([-accuracy], ValueError, "write accuracy"),
        ([nll], ValueError, "write -nll"),
        ([accuracy, accuracy], ValueError, "only once"),
        ([], ValueError, "at least one"),
        (accuracy, TypeError, "expected a list"),
        (["accuracy"], TypeError, "take one from jaxevo.evaluation.metrics"),
    ],
)
def test_a_fitness_refuses_what_is_not_larger_is_better(metrics, error, message):
    with pytest.raises(error, match=f"population.*{message}"):
        check_metrics("population", metrics)


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "5"])
def test_top_k_refuses_what_is_no_number_of_guesses(k):
    with pytest.raises(ValueError, match="top_k: k is"):
        top_k(k)


def test_top_k_refuses_more_guesses_than_classes():
    with pytest.raises(ValueError, match="3 classes; choose a smaller k"):
        jax.eval_shape(top_k(4).update, top_k(4).init(), jnp.zeros((2, 3)), jnp.zeros(2, int), jnp.ones(2, bool))


def test_a_metric_without_its_functions_is_refused():
    with pytest.raises(TypeError, match="measure is None"):
        Metric("mine", True, "genome")
    with pytest.raises(ValueError, match="expected one of outputs, sums, genome"):
        Metric("mine", True, "members")  # type: ignore
    with pytest.raises(ValueError, match="reads is 'pixels', expected 'classes', 'values' or 'anything'"):
        Metric("mine", True, "genome", measure=lambda space, genome: 0, reads="pixels")  # type: ignore
