"""Measures of diversity equal their definitions, spelled out."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from jaxevo.ensemble import disagreement, mean_over_pairs, pairwise_kl, q_statistic
from tests.ensemble.said import candidates


def test_disagreement_is_the_distance_of_predictions():
    said, _ = candidates()
    named = said.argmax(-1)
    want = [[sklearn.metrics.zero_one_loss(a, b) for b in named] for a in named]
    np.testing.assert_allclose(disagreement(said), want)


@pytest.mark.parametrize("seed", range(3))
def test_q_is_yules_by_counting(seed):
    said, labels = candidates(seed=seed)
    right = said.argmax(-1) == labels
    for i, one in enumerate(right):
        for j, other in enumerate(right):
            (n00, n01), (n10, n11) = sklearn.metrics.confusion_matrix(one, other, labels=[False, True])
            want = (n11 * n00 - n01 * n10) / (n11 * n00 + n01 * n10)
            assert q_statistic(said, labels)[i, j] == pytest.approx(want)


def test_q_is_one_for_equals_minus_one_for_opposites_and_undefined_for_the_infallible():
    labels = np.zeros(4, int)
    first, opposite = np.eye(2)[[0, 0, 1, 1]], np.eye(2)[[1, 1, 0, 0]]
    infallible = np.eye(2)[[0, 0, 0, 0]]
    q = q_statistic([first, opposite, infallible], labels)
    assert (q[0, 0], q[0, 1]) == (1, -1)
    assert np.isnan(q[2]).all()
    assert mean_over_pairs(q) == -1


def test_divergence_is_scipys_and_zero_probabilities_stay_finite():
    said, _ = candidates()
    want = [[scipy.stats.entropy(a, b, axis=-1).mean() for b in said] for a in said]
    np.testing.assert_allclose(pairwise_kl(said), want, atol=1e-12)
    certain = np.stack([np.eye(2)[[0, 0]], np.eye(2)[[1, 1]]])
    assert np.isfinite(pairwise_kl(certain)).all()
    assert pairwise_kl(certain)[0, 1] > 80


def test_maps_count_as_their_positions():
    rng = np.random.default_rng(0)
    said = rng.dirichlet(np.ones(3), size=(4, 5, 2, 3))
    labels = rng.integers(-1, 3, size=(5, 2, 3))
    counts = labels >= 0
    np.testing.assert_allclose(q_statistic(said, labels), q_statistic(said[:, counts], labels[counts]))
    np.testing.assert_allclose(disagreement(said), disagreement(said.reshape(4, -1, 3)))
    np.testing.assert_allclose(pairwise_kl(said), pairwise_kl(said.reshape(4, -1, 3)), atol=1e-12)


def test_the_mean_over_pairs_leaves_out_the_diagonal():
    assert mean_over_pairs([[9, 1, 2], [1, 9, 3], [2, 3, np.nan]]) == 2
    assert np.isnan(mean_over_pairs(np.full((2, 2), np.nan)))
    for wrong in ([[1]], [1, 2], np.zeros((2, 3))):
        with pytest.raises(ValueError, match="mean_over_pairs: matrix is"):
            mean_over_pairs(wrong)


def test_wrong_predictions_are_refused():
    said, labels = candidates()
    broken = said.copy()
    broken[2, 3, 1] = np.nan
    for measure in (disagreement, pairwise_kl, lambda said: q_statistic(said, labels)):
        with pytest.raises(ValueError, match="probabilities of member 2 are not all finite"):
            measure(broken)
        with pytest.raises(ValueError, match="softmax first"):
            measure(said * 3)
    with pytest.raises(ValueError, match=r"q_statistic: labels are .*expected whole numbers \[40\]"):
        q_statistic(said, labels[:3])
    with pytest.raises(ValueError, match=r"disagreement: probabilities have shape \[40, 4\]"):
        disagreement(said[0])
