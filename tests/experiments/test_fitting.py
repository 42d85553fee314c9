"""The benchmark of fitting: errors are those of the features themselves, and every way fits."""

import jax
import numpy as np
import pytest

from experiments.benchmarks.fitting import WAYS, Fitted, errors, figures
from jaxevo.graph import piece
from tests.stitching.merging import examples, small


def test_errors_are_squared_differences_over_the_variance_of_the_target():
    merged, split = small(), examples(40)
    found = errors(merged, split)
    for stitch in merged.stitches:
        pair, values = merged.pairs[stitch.pair], []
        for graph, cut in zip(merged.parents, (pair.a, pair.b), strict=True):
            part = piece(graph, graph.program.inputs, (cut.value,))
            value = jax.jit(part.apply)(part.select(graph.network.params), jax.numpy.asarray(split.inputs))[0]
            values.append(np.asarray(value).reshape(-1, value.shape[-1]))
        source, target = values[stitch.source], values[stitch.target]
        made = (
            source @ merged.params["stitches"][stitch.name]["kernel"] + merged.params["stitches"][stitch.name]["bias"]
        )
        wrong = np.mean((np.asarray(made) - target) ** 2, axis=0).sum()
        # The benchmark takes variances from sums of float32 squares.
        np.testing.assert_allclose(found[stitch.name], wrong / target.var(axis=0).sum(), rtol=2e-3)


@pytest.mark.parametrize("name", WAYS)
def test_every_way_fits_better_than_what_was_drawn(name):
    drawn, split = small(fitted=False), examples(64)
    before, after = (errors(merged, split) for merged in (drawn, WAYS[name](drawn, split).merged))
    assert sum(after.values()) < sum(before.values())


def test_the_worst_ratio_is_to_the_better_adamw_of_the_same_stitch():
    wrong = {
        "closed_form": {"a": 0.5, "b": 0.6},
        "adamw": {"a": 0.5, "b": 0.9},
        "adamw_standardised": {"a": 1.0, "b": 0.4},
    }
    fitted = {name: Fitted(None, seconds) for name, seconds in zip(WAYS, (2.0, 10.0, 12.0), strict=True)}
    found = figures(fitted, wrong)
    assert found["worst_error_ratio"] == pytest.approx(1.5)
    assert found["ratios"] == {"adamw_over_closed_form": 5.0, "adamw_standardised_over_closed_form": 6.0}
