"""Fitting: the closed form is least squares, holds out what it is judged by, and matches variances."""

import jax
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from jaxevo import stitching
from jaxevo.evaluation import Moments
from jaxevo.graph import piece, trace
from jaxevo.stitching.solving import solve
from tests.networks import build
from tests.stitching.merging import examples, small


def moments(x, y, folds=3):
    rows = np.concatenate([np.ones((len(x), 1)), x, y], axis=1)
    return Moments(np.stack([rows[i::folds].T @ rows[i::folds] for i in range(folds)]), x.shape[1], y.shape[1])


def test_the_solution_is_ridge_regression():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 5)) + 1, rng.normal(size=(200, 3)) - 2
    found = moments(x, y)
    kernel, bias = solve(found.folds.sum(0), 5, [0.01])[0]
    alpha = 0.01 * np.trace(found.covariance()[:5, :5]) / 5 * len(x)
    expected = Ridge(alpha=alpha).fit(x, y)
    np.testing.assert_allclose(kernel, expected.coef_.T, rtol=1e-8)
    np.testing.assert_allclose(bias, expected.intercept_, rtol=1e-8)


def test_cka_is_that_of_the_centred_kernels():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 4))
    y = x @ rng.normal(size=(4, 6)) + rng.normal(size=(50, 6))
    centred = np.eye(50) - 1 / 50
    k, m = (centred @ (z @ z.T) @ centred for z in (x, y))
    assert np.isclose(moments(x, y).cka(), np.sum(k * m) / np.sqrt(np.sum(k * k) * np.sum(m * m)))


def test_a_stitch_between_equal_networks_is_the_identity():
    a = build(1, 8, ("plain", "plain"), name="a")
    b = build(1, 8, ("plain", "plain"), name="b")
    first, second = trace(a), trace(b)
    merged = stitching.stitch(jax.random.key(0), stitching.match(first, second))
    fitted, fits = stitching.fit(jax.random.key(1), merged, examples(60), batch=8, ridges=(1e-6,))
    assert max(fit.error for fit in fits) < 1e-3
    assert min(fit.cka for fit in fits) > 0.999
    space, x = stitching.switches(fitted, probability=1.0), examples(8).inputs
    crossed = space.sample(jax.random.key(0), 1)[0].at[-1].set(0)
    np.testing.assert_allclose(space.decode(space.params, crossed)(x), a(x), rtol=0.02, atol=0.02)


def test_fitted_stitches_have_a_smaller_error_than_drawn_ones_and_the_variance_of_their_target():
    drawn, data = small(fitted=False), examples(64)
    fitted, fits = stitching.fit(jax.random.key(1), drawn, data, batch=16)
    for stitch, fit in zip(fitted.stitches, fits, strict=True):
        pair = fitted.pairs[stitch.pair]
        ends = [
            np.asarray(_feature(graph, cut, data.inputs))
            for graph, cut in zip(fitted.parents, (pair.a, pair.b), strict=True)
        ]
        source, target = ends[stitch.source], ends[stitch.target]
        errors, spread = [], []
        for merged in (drawn, fitted):
            made = source @ merged.params["stitches"][stitch.name]["kernel"]
            made = np.asarray(made + merged.params["stitches"][stitch.name]["bias"])
            errors.append(np.mean((made - target) ** 2))
            spread.append(made.reshape(-1, made.shape[-1]).std(0))
        assert errors[1] < errors[0]
        assert fit.error < 1.1
        wanted = target.reshape(-1, target.shape[-1]).std(0)
        assert np.all(spread[1] <= 1.05 * wanted + 1e-3)


def _feature(graph, cut, inputs):
    part = piece(graph, graph.program.inputs, (cut.value,))
    return part.apply(part.select(graph.network.params), jax.numpy.asarray(inputs))[0]


def test_the_fit_of_a_key_is_the_same_bits_again():
    merged, data = small(fitted=False), examples(40)
    first, again = (stitching.fit(jax.random.key(7), merged, data, batch=8)[0] for _ in range(2))
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, first.params, again.params)))


def test_wrong_arguments_are_named():
    merged = small(fitted=False)
    with pytest.raises(ValueError, match=r"ridges is \(0.0,\)"):
        stitching.fit(jax.random.key(0), merged, examples(), ridges=(0.0,))
    with pytest.raises(ValueError, match="split has 3 examples"):
        stitching.fit(jax.random.key(0), merged, examples(3))
    with pytest.raises(TypeError, match="key is 3"):
        stitching.fit(3, merged, examples())
