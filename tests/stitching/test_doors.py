"""Whatever is passed in wrongly to stitching is named in one clear error, before anything is compiled."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxevo import stitching
from jaxevo.data import Split
from jaxevo.graph import trace
from tests.networks import build
from tests.stitching.merging import examples, small

KEY = jax.random.key(0)
OTHER_SIZE = Split(np.zeros((30, 9, 9, 3), np.float32), np.zeros(30, np.int32))


@pytest.fixture(scope="module")
def merged():
    return small(fitted=False)


def changed(graph, **changes):
    return trace(dataclasses.replace(graph.network, **changes))


def merge(a, b, **options):
    return stitching.stitch(KEY, stitching.match(a, b), **options)


def crossed(matching):
    """The same matching with the second ends of its first two pairs exchanged."""
    first, second, *others = matching.pairs
    return matching._replace(pairs=(first._replace(b=second.b), second._replace(b=first.b), *others))


FITS = [
    (lambda m: stitching.fit(0, m, examples()), TypeError, "fit: key is 0"),
    (lambda m: stitching.fit(KEY, (m, ()), examples()), TypeError, "fit: merged is a tuple, expected a Merged"),
    (lambda m: stitching.fit(KEY, m, examples().inputs), TypeError, "fit: split is a ndarray, expected a jaxevo.data"),
    (lambda m: stitching.fit(KEY, m, OTHER_SIZE), ValueError, r"shape \[30, 9, 9, 3\], expected \[B, 8, 8, 3\]"),
    (lambda m: stitching.fit(KEY, m, examples(), ridges=0.1), ValueError, r"ridges is 0\.1"),
    (lambda m: stitching.fit(KEY, m, examples(), ridges=(np.nan,)), ValueError, "positive shares"),
    (lambda m: stitching.similarity(KEY, (None, m.parents[1]), examples()), TypeError, "network 0 is a NoneType"),
    (lambda m: stitching.similarity(KEY, m.parents, OTHER_SIZE), ValueError, r"similarity on 'a': inputs have shape"),
]
MERGES = [
    (lambda a, b: stitching.stitch(0, stitching.match(a, b)), TypeError, "stitch: key is 0"),
    (lambda a, b: stitching.match(a.network, b), TypeError, "network 0 is a Network, expected a NetworkGraph"),
    (lambda a, b: stitching.stitch(KEY, None), TypeError, "matching is a NoneType, expected a Matching"),
    (lambda a, b: stitching.match(a), ValueError, r"networks are \['a'\], expected at least two"),
    (lambda a, b: stitching.match(a, changed(b, name="a")), ValueError, "with different names"),
    (lambda a, b: stitching.match(a, b, time_limit=0), ValueError, "time_limit is 0, expected seconds above 0"),
    (lambda a, b: stitching.match(a, b, similarity=1.0), ValueError, r"similarity is 1\.0, expected tables by pair"),
    (lambda a, b: merge(a, changed(b, output="values")), ValueError, "make them alike"),
    (lambda a, b: merge(a, b, votes=0.5), ValueError, r"votes is 0\.5, expected weights"),
    (lambda a, b: merge(a, b, votes=(1.0,)), ValueError, r"votes is \(1\.0,\)"),
    (lambda a, b: merge(a, b, votes=(0.5, 0.5)), ValueError, "drop the repeated ones"),
    (lambda a, b: stitching.stitch(KEY, crossed(stitching.match(a, b))), ValueError, "let data flow in a circle"),
]
SPACES = [
    (lambda m: stitching.switches((m, ())), TypeError, "switches: merged is a tuple, expected a Merged"),
    (lambda m: stitching.switches(m, probability="0.1"), ValueError, "probability is '0.1'"),
    (lambda m: stitching.switches(m).sample(3, 2), TypeError, "sample: key is 3"),
    (lambda m: stitching.switches(m).sample(KEY, 0), ValueError, "sample: n is 0"),
    (lambda m: stitching.switches(m).vary(3, *np.zeros((2, 2, 11), np.int32)), TypeError, "vary: key is 3"),
    (lambda m: stitching.switches(m).vary(KEY, *np.zeros((2, 2, 5), np.int32)), ValueError, r"shapes \[2, 5\]"),
    (lambda m: stitching.unstitched(None), TypeError, "unstitched: merged is a NoneType"),
    (lambda m: stitching.single_stitches(None), TypeError, "single_stitches: merged is a NoneType"),
    (lambda m: stitching.describe(m.graph, np.zeros(11, int)), TypeError, "describe: merged is a SwitchGraph"),
    (lambda m: stitching.describe(m, np.zeros(3, int)), ValueError, r"describe: genome is int64 \[3\], expected"),
    (lambda m: stitching.candidates(*(p.network for p in m.parents)), TypeError, "candidates: a is a Network"),
    (lambda m: stitching.weights(*m.parents, np.ones((1, 1))), ValueError, r"weights: similarity has shape \(1, 1\)"),
    (lambda m: stitching.match(*m.parents, most=1.5), ValueError, r"match: most is 1\.5, expected a whole number"),
    (lambda m: stitching.match(*m.parents, price="low"), ValueError, "match: price is 'low', expected a finite number"),
]


@pytest.mark.parametrize(("call", "error", "message"), FITS + SPACES)
def test_wrong_arguments_are_named(merged, call, error, message):
    with pytest.raises(error, match=message):
        call(merged)


@pytest.mark.parametrize(("call", "error", "message"), MERGES)
def test_networks_that_cannot_be_merged_are_refused(merged, call, error, message):
    a, b = merged.parents
    with pytest.raises(error, match=message):
        call(a, b)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: build(2, 4, ("plain",), name="c", classes=5), r"'a' have shape \[3\], those of 'c' \[5\]"),
        (
            lambda: build(2, 4, ("plain",), name="c", size=16),
            r"'c' takes inputs float32\[16, 16, 3\], but 'a' gives it",
        ),
        (lambda: dataclasses.replace(build(2, 4, (), name="c"), classes=("x", "y", "w")), r"differing: \['w', 'z'\]"),
    ],
)
def test_networks_with_other_inputs_outputs_or_classes_are_refused(merged, other, message):
    a, c = changed(merged.parents[0], classes=("x", "y", "z")), trace(other())
    with pytest.raises(ValueError, match=message):
        merge(a, c)
