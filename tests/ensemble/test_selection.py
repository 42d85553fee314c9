"""Greedy selection does what a brute force does."""

import jax
import numpy as np
import pytest

from jaxevo.ensemble import greedy
from tests.ensemble.said import candidates


def brute_force(probabilities, labels, size, metric):
    chosen = []
    for _ in range(size):
        scores = []
        for member in range(len(probabilities)):
            mean = np.mean(probabilities[[*chosen, member]], axis=0)
            right = mean.argmax(1) == labels
            scores.append(np.mean(right) if metric == "accuracy" else np.mean(np.log(mean[range(len(labels)), labels])))
        chosen.append(int(np.argmax(scores)))
    return chosen


@pytest.mark.smoke
@pytest.mark.parametrize("metric", ["nll", "accuracy"])
@pytest.mark.parametrize("seed", range(3))
def test_greedy_equals_a_brute_force(metric, seed):
    probabilities, labels = candidates(seed=seed)
    assert greedy(probabilities, labels, 10, metric).tolist() == brute_force(probabilities, labels, 10, metric)


def test_an_ensemble_may_take_a_member_twice_and_never_one_that_is_not_finite():
    probabilities, labels = candidates()
    probabilities[0] = np.eye(4)[labels]
    assert greedy(probabilities, labels, 3, "nll").tolist() == [0, 0, 0]
    probabilities[0, 3, 1] = np.nan
    assert 0 not in greedy(probabilities, labels, 8)
    with pytest.raises(ValueError, match="no candidate that is finite"):
        greedy(np.full_like(probabilities, np.nan), labels, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probabilities": np.ones((3, 4))}, r"shape \[3, 4\], expected \[M, N, ..., C\]"),
        ({"probabilities": np.full((6, 40, 4), 2.0)}, "softmax first"),
        ({"labels": np.zeros(39, int)}, r"expected whole numbers \[40\]"),
        ({"labels": np.full(40, 4)}, "expected 0 to 3"),
        ({"size": 0}, "size is 0"),
        ({"metric": "acuracy"}, "metric is 'acuracy'"),
    ],
)
def test_greedy_refuses_wrong_arguments_by_name(change, message):
    probabilities, labels = candidates()
    arguments = {"probabilities": probabilities, "labels": labels, "size": 2} | change
    with pytest.raises(ValueError, match=f"greedy: .*{message}"):
        greedy(**arguments)


@pytest.mark.parametrize("metric", ["nll", "accuracy"])
def test_greedy_on_maps_chooses_as_on_their_positions_that_count(metric):
    rng = np.random.default_rng(3)
    said = np.asarray(jax.nn.softmax(rng.normal(size=(6, 5, 3, 2, 4)) * 3))
    labels = rng.integers(-1, 4, size=(5, 3, 2))
    counts = labels >= 0
    assert (greedy(said, labels, 4, metric) == greedy(said[:, counts], labels[counts], 4, metric)).all()


def test_greedy_refuses_maps_that_do_not_fit():
    said = np.full((2, 5, 3, 4), 0.25)
    with pytest.raises(ValueError, match=r"expected whole numbers \[5, 3\]"):
        greedy(said, np.zeros(5, int), 1)
    with pytest.raises(ValueError, match=r"lie in \[-1, -1\], expected 0 to 3, or -1"):
        greedy(said, np.full((5, 3), -1), 1)
