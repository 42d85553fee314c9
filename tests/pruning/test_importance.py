"""Baselines are genomes of the same space, at the same active share or the same cost."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import pruning, trace, training
from jaxevo.network import Network, spec
from tests.networks import build
from tests.stitching.merging import examples

KEY = jax.random.key(0)


def line():
    """A hidden layer of four neurons whose weights are known."""
    params = {
        "first": jnp.diag(jnp.array([1.0, 2.0, 3.0, 0.0])),
        "bias": jnp.array([0.0, 0, 0, 5]),
        "second": jnp.ones((4, 2)),
    }
    return Network(
        lambda p, x: jnp.tanh(x @ p["first"] + p["bias"]) @ p["second"], params, spec(np.zeros((1, 4), np.float32))
    )


def test_magnitude_is_the_norm_of_all_that_goes_with_a_unit():
    space = pruning.channels(line())
    np.testing.assert_allclose(pruning.magnitude(space), np.sqrt(np.array([1, 4, 9, 25]) + 2))


def test_taylor_is_the_derivative_by_the_unit_itself():
    space, split = pruning.channels(line()), examples(16)
    split = dataclasses.replace(split, inputs=split.inputs.reshape(16, -1)[:, :4], labels=split.labels % 2)
    found = pruning.taylor(space, split, training.cross_entropy, batch=16)
    params, mask = space.params, jnp.ones(16, bool)
    hidden = jnp.tanh(split.inputs @ params["first"] + params["bias"])

    def loss(hidden):
        return training.cross_entropy(hidden @ params["second"], split.labels, mask)

    expected = jnp.abs((jax.grad(loss)(hidden) * hidden).sum(0))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    batches = pruning.taylor(space, split, training.cross_entropy, batch=4, examples=8)
    assert batches.shape == (4,)


def test_units_of_groups_that_share_an_axis_are_scored_apart():
    space = pruning.channels(build(1, 8, ("grouped",)))
    scores = pruning.magnitude(space)
    kernels = {path: np.asarray(leaf, np.float64) for path, leaf in
               zip(trace(build(1, 8, ("grouped",))).paths, jax.tree.leaves(space.params), strict=True)}  # fmt: skip
    stem = (kernels["stem/kernel"] ** 2).sum((0, 1, 2)).reshape(2, 4)
    block, head = kernels["block0/kernel"] ** 2, (kernels["head/kernel"] ** 2).sum(1).reshape(2, 4)
    groups = stem.sum(1) + block.sum((0, 1, 2)).reshape(2, 4).sum(1) + head.sum(1)
    np.testing.assert_allclose(scores[:2] ** 2, groups)
    np.testing.assert_allclose(scores[2:6] ** 2, stem.sum(0) + block.sum((0, 1, 3)))


def test_the_best_units_are_kept_by_group_or_across_groups():
    space = pruning.channels(build(1, 8, ("plain", "plain")))
    scores = np.arange(24.0)
    by_group = pruning.keep(space, scores, 0.5)
    np.testing.assert_array_equal(np.flatnonzero(by_group[:8]), np.arange(4, 8))
    assert by_group.sum() == 12
    across = pruning.keep(space, scores, 0.5, across=True)
    np.testing.assert_array_equal(np.flatnonzero(across), [7, *range(13, 24)])
    assert pruning.keep(space, pruning.random_scores(KEY, space), 0.01).sum() == 3


def test_a_target_of_multiply_adds_is_met_by_the_largest_network_that_cuts_all_groups_alike():
    space = pruning.channels(build(1, 8, ("plain", "depthwise", "residual", "squeeze")))
    scores = pruning.random_scores(KEY, space)
    genome = pruning.thin(space, scores, 0.5)
    whole = space.cost(np.ones(len(genome), bool)).multiply_adds
    assert space.cost(genome).multiply_adds <= 0.5 * whole
    parts = np.split(genome, space.apply.offsets[1:-1])
    counts = [part.sum() for part in parts if len(part) == 8]
    assert len(set(counts)) == 1
    assert space.cost(pruning.keep(space, scores, (counts[0] + 1) / 8)).multiply_adds > 0.5 * whole


def test_wrong_arguments_are_refused_by_name():
    space = pruning.channels(line())
    scores = pruning.magnitude(space)
    with pytest.raises(TypeError, match="magnitude: space is 3, expected a Space"):
        pruning.magnitude(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"keep: scores have shape \[3\], expected \[4\]"):
        pruning.keep(space, scores[:3], 0.5)
    with pytest.raises(ValueError, match=r"keep: share is 0, expected"):
        pruning.keep(space, scores, 0)
    with pytest.raises(ValueError, match=r"thin: multiply_adds is 0.01, but with one unit of each group 0.250"):
        pruning.thin(space, scores, 0.01)
    with pytest.raises(ValueError, match="thin: multiply_adds is 1, expected a share"):
        pruning.thin(space, scores, 1)
    with pytest.raises(TypeError, match="taylor: loss is 3"):
        pruning.taylor(space, examples(4), 3)  # type: ignore[arg-type]
