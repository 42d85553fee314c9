"""Heads: small networks of dense layers that stand on the features of a frozen backbone.

B is the batch size, F the number of features, C that of classes.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxevo.network import Trainable, check_key

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Head(Trainable):
    """Dense ReLU layers over features [B, F], and a dense layer that gives logits [B, C].

    Parameters are a list of `{"kernel": [from, to], "bias": [to]}`, first layer first, the output's last; there is no
    state.

    widths: F, units of each hidden layer, C.
    """

    widths: tuple[int, ...] = ()


def head(features: int, classes: int | Sequence[str], hidden: Sequence[int] = (512,), name: str = "head") -> Head:
    """Makes the head that is trained and pruned on top of a backbone (arXiv 2302.10253, section 3).

    Kernels begin uniform in +-sqrt(6 / (from + to)) (Glorot and Bengio 2010, "Understanding the difficulty of training
    deep feedforward neural networks", equation 16), biases with 0.

    Args:
      features: F, numbers that the backbone gives for one example.
      classes: C, or names of the classes.
      hidden: units of each hidden layer; published are one or two layers of 512.
      name: what messages call it.

    Returns:
      The head.

    Raises:
      ValueError: where a width is no whole number of at least 1, or there is no hidden layer.
    """
    if not isinstance(classes, int) and (
        not isinstance(classes, tuple | list) or not all(isinstance(one, str) for one in classes)
    ):
        raise TypeError(f"head: classes is {classes!r}, expected how many there are, or a sequence of their names")
    if not isinstance(name, str):
        raise TypeError(f"head: name is {name!r}, expected a string, what messages call it")
    if not isinstance(hidden, tuple | list):
        raise TypeError(f"head: hidden is {hidden!r}, expected the units of each layer, such as (512,)")
    names = None if isinstance(classes, int) else tuple(classes)
    count = classes if isinstance(classes, int) else len(classes)
    hidden = tuple(hidden)
    for what, width in (("features", features), ("classes", count), *(("hidden", width) for width in hidden)):
        if isinstance(width, bool) or not isinstance(width, int) or width < 1:
            raise ValueError(f"head: {what} is {width!r}, expected whole numbers of at least 1")
    if not hidden:
        raise ValueError("head: hidden is (), expected the units of at least one layer, such as (512,)")
    widths = (features, *hidden, count)

    def init(key: jax.Array) -> tuple[PyTree, PyTree]:
        keys = jax.random.split(check_key("head", key), len(widths) - 1)
        return [_layer(one, *pair) for one, pair in zip(keys, _pairs(widths), strict=True)], ()

    def apply(params: PyTree, state: PyTree, inputs: jax.Array, key: Any, train: bool) -> tuple[jax.Array, PyTree]:
        del key, train
        *inner, last = params
        for layer in inner:
            inputs = jax.nn.relu(inputs @ layer["kernel"] + layer["bias"])
        return inputs @ last["kernel"] + last["bias"], state

    spec = jax.ShapeDtypeStruct((features,), jnp.float32)
    return Head(init, apply, spec, name, "logits", names, widths=widths)


def _layer(key: jax.Array, rows: int, columns: int) -> dict[str, jax.Array]:
    limit = (6 / (rows + columns)) ** 0.5
    return {"kernel": jax.random.uniform(key, (rows, columns), minval=-limit, maxval=limit), "bias": jnp.zeros(columns)}


def _pairs(widths: tuple[int, ...]) -> list[tuple[int, int]]:
    return list(itertools.pairwise(widths))
