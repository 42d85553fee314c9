"""Small parents of sparse children."""

import functools
import itertools

import jax
import numpy as np

from jaxevo.network import Network, spec
from tests.networks import build


@functools.cache
def convolutional() -> Network:
    """A stem, a residual block, a plain one and a head."""
    return build(1, 4, ("residual", "plain"), name="parent")


@functools.cache
def dense(widths: tuple[int, ...] = (192, 24, 16, 3)) -> Network:
    """Dense layers with biases and rectifiers between them, over pictures [8, 8, 3]."""
    keys = iter(jax.random.split(jax.random.key(0), 2 * len(widths)))
    params = {
        f"dense{i}": {
            "kernel": jax.random.normal(next(keys), (a, b)) / np.sqrt(a),
            "bias": jax.random.normal(next(keys), (b,)) / 10,
        }
        for i, (a, b) in enumerate(itertools.pairwise(widths))
    }

    def apply(params, x):
        x = x.reshape(len(x), -1)
        for i in range(len(widths) - 1):
            x = x @ params[f"dense{i}"]["kernel"] + params[f"dense{i}"]["bias"]
            x = jax.nn.relu(x) if i < len(widths) - 2 else x
        return x

    return Network(apply, params, spec(np.zeros((1, 8, 8, 3), np.float32)), "dense")
