"""Two drawn networks matched, stitched and fitted."""

import functools

import jax
import numpy as np

from jaxevo import stitching
from jaxevo.data import Split
from jaxevo.graph import trace
from tests.networks import build, pictures


def examples(count: int = 24) -> Split:
    """Random pictures with random labels."""
    labels = np.random.default_rng(0).integers(0, 3, count).astype(np.int32)
    return Split(pictures(5, count), labels)


def merged_of(a, b, *, fitted: bool = True, most: int | None = None):
    """Merges two networks; fitted on random pictures unless told otherwise."""
    merged = stitching.stitch(jax.random.key(0), stitching.match(trace(a), trace(b), most=most))
    return stitching.fit(jax.random.key(1), merged, examples(), batch=8)[0] if fitted else merged


@functools.cache
def small(fitted: bool = True):
    """A fixed pair: a residual network and a plain one, with a common change of resolution."""
    a = build(1, 8, ("plain", "residual", "stride", "residual"), name="a")
    b = build(2, 4, ("plain", "stride", "plain"), name="b")
    return merged_of(a, b, fitted=fitted)
