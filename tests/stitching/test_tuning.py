"""Tuning: gradient descent starts where the closed form ended, moves stitches only, and takes any objective."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxevo import stitching
from jaxevo.data import Batch, Split
from tests.jaxprs import captured_bytes
from tests.stitching.merging import examples, small

KEY = jax.random.key(0)


def test_stitches_learn_and_parents_do_not_change():
    merged, split = small(fitted=False), examples(24)
    tuned, history = stitching.tune(KEY, merged, split, epochs=6, batch=8, optimizer=optax.adam(1e-2))
    assert len(history) == 6
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    same = jax.tree.map(np.array_equal, tuned.params["parents"], merged.params["parents"])
    assert all(jax.tree.leaves(same))
    moved = [
        not np.array_equal(tuned.params["stitches"][name]["kernel"], leaves["kernel"])
        for name, leaves in merged.params["stitches"].items()
    ]
    assert all(moved)


@pytest.mark.smoke
def test_the_published_objective_is_the_squared_error_of_every_stitch():
    merged, split = small(), examples(8)
    value = stitching.agreement(merged)(KEY, merged.params, _batch(split))
    doubled = stitching.agreement(merged, lambda made, target: 2 * jnp.square(made - target))
    assert np.isclose(doubled(KEY, merged.params, _batch(split)), 2 * value)
    drawn = small(fitted=False)
    assert value < stitching.agreement(drawn)(KEY, drawn.params, _batch(split))


def test_examples_that_are_padding_do_not_count():
    merged, split = small(), examples(8)
    objective = stitching.agreement(merged)
    half = _batch(split)._replace(mask=np.arange(8) < 4)
    spoiled = half._replace(inputs=np.where(half.mask[:, None, None, None], split.inputs, 1e3))
    np.testing.assert_allclose(objective(KEY, merged.params, half), objective(KEY, merged.params, spoiled), rtol=1e-6)


def test_offspring_do_better_on_what_stitches_were_tuned_on():
    merged, split = small(), examples(24)
    space = stitching.switches(merged, probability=0.3)
    _, history = stitching.tune(
        KEY, merged, split, stitching.offspring_loss(space), epochs=15, batch=24, optimizer=optax.adam(1e-2)
    )
    losses = [epoch["loss"] for epoch in history]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_the_compiled_step_captures_no_large_constant():
    merged = small(fitted=False)
    objective = stitching.agreement(merged)
    assert (
        captured_bytes(lambda params, batch: objective(KEY, params, batch), merged.params, _batch(examples(4))) < 2**20
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: stitching.tune(KEY, m.graph, examples()), TypeError, "tune: merged is a SwitchGraph"),
        (lambda m: stitching.tune(0, m, examples()), TypeError, "tune: key is 0"),
        (lambda m: stitching.tune(KEY, m, examples(), 3), TypeError, "tune: objective is 3, expected a function"),
        (lambda m: stitching.tune(KEY, m, examples(), optimizer=0.1), TypeError, r"tune: optimizer is 0\.1"),
        (lambda m: stitching.offspring_loss(m), TypeError, "make it with stitching.switches"),
        (
            lambda m: stitching.tune(KEY, m, Split(examples().inputs[:, 1:], examples().labels)),
            ValueError,
            "tune: split: inputs have shape",
        ),
        (
            lambda m: stitching.tune(
                KEY,
                m,
                Split(examples().inputs, np.full(24, 99)),
                stitching.offspring_loss(stitching.switches(m)),
            ),
            ValueError,
            r"tune: split\.labels",
        ),
    ],
)
def test_wrong_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call(small(fitted=False))


def _batch(split):
    return Batch(split.inputs, split.labels, np.ones(len(split), bool))
