"""Calibration equals numpy and scikit-learn, whatever the batches."""

import jax
import numpy as np
import pytest
import sklearn.metrics

from jaxevo.evaluation import brier, ece
from tests.evaluation.test_metrics import score


def drawn(n=300, classes=5, seed=0):
    rng = np.random.default_rng(seed)
    return (2 * rng.normal(size=(n, classes))).astype(np.float32), rng.integers(classes, size=n)


def by_bins(logits, labels, bins):
    """Equation 3 of Guo et al. 2017, bin by bin."""
    probabilities = np.asarray(jax.nn.softmax(logits))
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    error = 0
    for index in range(bins):
        inside = (confidence > index / bins) & (confidence <= (index + 1) / bins)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return error


@pytest.mark.smoke
@pytest.mark.parametrize("bins", [1, 7, 15])
def test_the_expected_calibration_error_is_summed_over_bins_not_averaged_over_batches(bins):
    logits, labels = drawn()
    want = by_bins(logits, labels, bins)
    for sizes in ((300,), (1, 120, 100, 79)):
        assert score(ece(bins), logits, labels, sizes) == pytest.approx(want, rel=1e-4)
    if bins > 1:
        parts = [by_bins(logits[part], labels[part], bins) for part in np.array_split(np.arange(300), 30)]
        assert np.mean(parts) > 1.1 * want


def test_certain_and_right_is_no_error_and_certain_and_wrong_is_one():
    certain = np.float32(200 * np.eye(3)[[0, 1, 2]])
    assert score(ece(), certain, np.array([0, 1, 2]), (3,)) == 0
    assert score(ece(), certain, np.array([1, 2, 0]), (3,)) == 1
    assert score(ece(), np.zeros((2, 2), np.float32), np.array([0, 1]), (2,)) == 0


def test_brier_is_scikit_learns():
    logits, labels = drawn()
    said = np.asarray(jax.nn.softmax(logits), np.float64)
    want = np.mean(((said - np.eye(5)[labels]) ** 2).sum(1))
    assert score(brier, logits, labels, (100, 150, 50)) == pytest.approx(want, rel=1e-5)
    two, classes = np.asarray(jax.nn.softmax(logits[:, :2])), labels % 2
    halves = 2 * sklearn.metrics.brier_score_loss(classes, two[:, 1])
    assert score(brier, logits[:, :2], classes, (300,)) == pytest.approx(halves, rel=1e-5)


@pytest.mark.parametrize("metric", [ece(), brier])
def test_maps_score_as_their_positions_do_and_ignored_ones_count_nowhere(metric):
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(12, 4, 3, 5)).astype(np.float32), rng.integers(-1, 5, size=(12, 4, 3))
    counts = labels >= 0
    flat = score(metric, logits[counts], labels[counts], sizes=(int(counts.sum()),))
    assert score(metric, logits, labels) == pytest.approx(flat, rel=1e-5)


def test_smaller_is_better_and_bins_are_a_number():
    assert not ece().larger_is_better
    assert not brier.larger_is_better
    assert ((-ece()).name, (-brier).name) == ("-ece", "-brier")
    for bins in (0, 1.5, True, "9"):
        with pytest.raises(ValueError, match="ece: bins is"):
            ece(bins)
