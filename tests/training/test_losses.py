"""Losses are means over what counts, and refuse labels that do not fit their outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import training

RNG = np.random.default_rng(0)
MASK = jnp.array([True, True, False, True])


@pytest.mark.smoke
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_of_maps_is_that_of_their_positions_that_count(smoothing):
    outputs, labels = RNG.normal(size=(4, 3, 2, 5)).astype(np.float32), RNG.integers(-1, 5, size=(4, 3, 2))
    counts = (labels >= 0) & np.asarray(MASK)[:, None, None]
    flat = training.cross_entropy(
        outputs[counts], jnp.asarray(labels[counts]), jnp.ones(counts.sum(), bool), smoothing=smoothing
    )
    found, gradient = jax.value_and_grad(training.cross_entropy)(outputs, jnp.asarray(labels), MASK, smoothing)
    np.testing.assert_allclose(found, flat, rtol=1e-6)
    assert (np.abs(gradient).sum(-1) > 0).tolist() == counts.tolist()


@pytest.mark.parametrize(
    ("outputs", "labels"), [((4, 1), (4,)), ((4,), (4,)), ((4, 3), (4, 3)), ((4, 2, 2), (4, 2, 2))]
)
def test_squared_error_is_the_mean_over_examples_that_count_and_all_their_values(outputs, labels):
    values, targets = (RNG.normal(size=shape).astype(np.float32) for shape in (outputs, labels))
    rows = (values.reshape(4, -1) - targets.reshape(4, -1))[np.asarray(MASK)]
    np.testing.assert_allclose(training.squared_error(values, targets, MASK), (rows**2).mean(), rtol=1e-6)
    assert training.squared_error(values, targets, jnp.zeros(4, bool)) == 0


@pytest.mark.parametrize(
    ("loss", "labels", "message"),
    [
        (training.cross_entropy, jnp.zeros(4), "cross_entropy: labels are float32.*class of each example"),
        (training.cross_entropy, jnp.zeros((4, 5), int), r"cross_entropy: labels are int32 \[4, 5\].* \[N\]"),
        (training.squared_error, jnp.zeros((4, 5), int), "squared_error: labels are int32"),
        (training.squared_error, jnp.zeros(4), r"squared_error: labels are float32 \[4\].* \[N, 5\]"),
    ],
)
def test_labels_that_do_not_fit_are_refused(loss, labels, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(loss, jnp.zeros((4, 5)), labels, MASK)
