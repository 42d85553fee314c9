"""Moments are the sums of products that numpy gives, each example once, dealt to folds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo.data import Split
from jaxevo.evaluation import Moments, grams

KEY = jax.random.key(0)
PARAMS = {"a": np.random.default_rng(1).normal(size=(3, 5)), "b": np.random.default_rng(2).normal(size=(3, 4))}
PARAMS = jax.tree.map(jnp.float32, PARAMS)


def features(params, inputs):
    """Two feature maps [B, H, W, channels] and one vector."""
    return [jnp.tanh(inputs @ params["a"]), jax.nn.relu(inputs @ params["b"] + 1), inputs.mean((1, 2))]


def split(count=22, size=4):
    inputs = np.random.default_rng(0).normal(size=(count, size, size, 3)).astype(np.float32)
    return Split(inputs, np.zeros(count, np.int32))


def by_hand(inputs, i, j):
    """Sums of products of [1, a, b] over all examples and positions, in float64."""
    found = [np.asarray(f, np.float64) for f in features(PARAMS, inputs)]
    a, b = (found[k].reshape(-1, found[k].shape[-1]) for k in (i, j))
    rows = np.concatenate([np.ones((len(a), 1)), a, b], axis=1)
    return rows.T @ rows


@pytest.mark.smoke
@pytest.mark.parametrize("batch", [1, 4, 5, 64])
def test_moments_over_all_positions_are_those_of_numpy_and_a_padded_batch_counts_once(batch):
    examples = split()
    found = grams(KEY, features, PARAMS, [(0, 1), (1, 0), (2, 2)], examples, batch=batch, folds=3)
    for moments, (i, j) in zip(found, [(0, 1), (1, 0), (2, 2)], strict=True):
        np.testing.assert_allclose(moments.folds.sum(0), by_hand(examples.inputs, i, j), rtol=2e-5, atol=1e-3)
        assert moments.folds.dtype == np.float64
    assert [(m.a, m.b) for m in found] == [(5, 4), (4, 5), (3, 3)]
    assert found[0].folds.sum(0)[0, 0] == 22 * 16
    assert found[2].folds.sum(0)[0, 0] == 22


def test_folds_hold_different_examples_and_none_is_empty():
    # Example n has the value 2 ** n, so that the sum over a fold says which examples it holds.
    examples = Split(np.float32(2.0 ** np.arange(12))[:, None], np.zeros(12, np.int32))
    (moments,) = grams(KEY, lambda params, x: [x], {}, [(0, 0)], examples, batch=2, folds=4)
    held = [{n for n in range(12) if int(total) >> n & 1} for total in moments.folds[:, 0, 1]]
    assert all(held)
    assert sum(map(len, held)) == 12
    assert set().union(*held) == set(range(12))
    (other,) = grams(jax.random.key(5), lambda params, x: [x], {}, [(0, 0)], examples, batch=2, folds=4)
    assert not np.array_equal(other.folds, moments.folds)


def test_sampled_positions_are_as_many_as_asked_for_and_near_the_whole():
    examples = split(count=40, size=8)
    (moments,) = grams(KEY, features, PARAMS, [(0, 1)], examples, batch=10, positions=300, folds=4)
    assert moments.folds[:, 0, 0].tolist() == [300] * 4
    (whole,) = grams(KEY, features, PARAMS, [(0, 1)], examples, batch=10, folds=4)
    np.testing.assert_allclose(moments.covariance(), whole.covariance(), atol=0.2)
    (again,) = grams(KEY, features, PARAMS, [(0, 1)], examples, batch=10, positions=300, folds=4)
    assert np.array_equal(moments.folds, again.folds)


def test_covariance_is_that_of_numpy_and_features_are_alike_to_themselves():
    examples = split()
    (moments,) = grams(KEY, features, PARAMS, [(0, 0)], examples, folds=2)
    rows = np.asarray(features(PARAMS, examples.inputs)[0]).reshape(-1, 5)
    np.testing.assert_allclose(moments.covariance()[:5, 5:], np.cov(rows.T, bias=True), atol=1e-5)
    assert moments.cka() == pytest.approx(1.0, abs=1e-4)
    assert Moments(np.ones((2, 3, 3)), 1, 1).cka() == 0.0


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"key": 0}, TypeError, "grams: key is 0, expected a key"),
        ({"features": None}, TypeError, "features is None, expected a function"),
        ({"params": {"a": PARAMS["a"]}}, ValueError, r"features fails on params \{'a': \(3, 5\)\}.*'b'"),
        ({"params": {"a": PARAMS["a"].T, "b": PARAMS["b"]}}, ValueError, r"features fails on params .*\(5, 3\)"),
        ({"pairs": [(0, 3)]}, ValueError, r"pairs holds \(0, 3\), expected indices of 3 features"),
        ({"pairs": [(0, 2)]}, ValueError, r"features 0 and 2 have shapes \[5, 4, 4, 5\] and \[5, 3\]"),
        ({"split": np.ones((9, 4, 4, 3))}, TypeError, "split is a ndarray"),
        ({"split": split(2)}, ValueError, "split has 2 examples, expected at least one for each of 4 folds"),
        ({"batch": 0}, ValueError, "batch is 0"),
        ({"batch": "64"}, ValueError, "batch is '64'"),
        ({"positions": 0}, ValueError, "positions is 0"),
        ({"folds": 1}, ValueError, "folds is 1, expected a whole number of at least 2"),
        ({"mesh": "all"}, TypeError, "mesh is 'all'"),
    ],
)
def test_wrong_arguments_are_refused_by_name(change, error, message):
    arguments = {"key": KEY, "features": features, "params": PARAMS, "pairs": [(0, 1)], "split": split()}
    with pytest.raises(error, match=message):
        grams(**(arguments | change))


def test_positions_of_large_maps_are_read_all_over_the_map():
    """One stride for all would read one or two of the columns of a map."""
    columns = np.broadcast_to(np.arange(32, dtype=np.float32)[:, None], (128, 32, 32, 1))
    found = grams(KEY, lambda params, inputs: [inputs], {}, [(0, 0)], Split(columns, np.zeros(128, np.int32)), batch=64,
                  positions=4096, folds=2)[0].folds  # fmt: skip
    for fold in found:
        assert fold[0, 0] == 4096
        np.testing.assert_allclose(fold[0, 1] / fold[0, 0], 15.5, atol=0.6)
        np.testing.assert_allclose(fold[1, 1] / fold[0, 0] - (fold[0, 1] / fold[0, 0]) ** 2, (32**2 - 1) / 12, rtol=0.1)
