"""The mean of intersection over union equals scikit-learn's, whatever the batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo.evaluation import mean_iou


def score(metric, logits, labels, mask=None):
    mask = np.ones(len(labels), bool) if mask is None else mask
    return float(metric.finish(jax.jit(metric.update)(metric.init(), logits, labels, mask)))


def drawn(seed, classes=5, count=6):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 4, 3, classes)).astype(np.float32), rng.integers(-1, classes, size=(count, 4, 3))


@pytest.mark.smoke
@pytest.mark.parametrize("seed", range(3))
def test_it_equals_scikit_learn_over_the_positions_that_count(seed):
    reference = pytest.importorskip("sklearn.metrics")
    logits, labels = drawn(seed)
    # Two classes that never occur, in labels or predictions, are no part of the mean.
    logits = np.concatenate([logits, np.full((6, 4, 3, 2), -99, np.float32)], axis=-1)
    counts = labels >= 0
    expected = reference.jaccard_score(labels[counts], logits.argmax(-1)[counts], average="macro")
    assert score(mean_iou(7), logits, labels) == pytest.approx(expected, rel=1e-6)


def test_a_perfect_map_scores_one_and_a_class_that_is_only_predicted_counts_as_missed():
    labels = np.zeros((1, 2, 2), int)
    perfect = np.float32(np.eye(3)[labels])
    assert score(mean_iou(3), perfect, labels) == 1
    half = perfect.copy()
    half[0, 0] = [0, 9, 0]
    assert score(mean_iou(3), half, labels) == pytest.approx((0.5 + 0) / 2)


def test_states_of_disjoint_examples_add_up_exactly():
    metric, (logits, labels) = mean_iou(5), drawn(3)
    mask = np.arange(6) < 2
    parts = [metric.update(metric.init(), logits, labels, which) for which in (mask, ~mask)]
    whole = metric.update(metric.init(), logits, labels, np.ones(6, bool))
    both = jax.tree.map(jnp.add, *parts)
    assert all((a == b).all() and a.dtype == jnp.int32 for a, b in zip(both, whole, strict=True))


def test_it_refuses_what_is_no_number_of_classes_or_another_than_the_networks():
    for classes in (1, 2.0, True, "5"):
        with pytest.raises(ValueError, match="mean_iou: classes is"):
            mean_iou(classes)
    logits, labels = drawn(0)
    with pytest.raises(ValueError, match="classes is 4, but the networks have 5"):
        score(mean_iou(4), logits, labels)
