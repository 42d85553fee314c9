"""Four small networks of each library: convolutional, residual with normalisation, attention and recurrent."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn
from flax import nnx

from jaxevo import interop
from jaxevo.network import Network, Trainable
from tests.networks import pictures

KINDS = ("convolutional", "residual", "attention", "recurrent")
LIBRARIES = ("linen", "nnx", "equinox", "haiku")

#: Every pair of them. What a release of JAX changes, it changes for a library or for a kind.
PAIRS = [
    pytest.param(library, kind, marks=[pytest.mark.smoke] if library == "nnx" or kind == "attention" else [])
    for library in LIBRARIES
    for kind in KINDS
]

PICTURES = pictures(0, 5)
KEY = jax.random.key(0)


class Case(NamedTuple):
    """A network that came in, and its library's side of it.

    network: what the door gave.
    infer: the library's own inference, of a batch.
    variables: the arrays that came in, as the library holds them.
    back: `network -> variables`, through the way back.
    """

    network: Network
    infer: Callable[[jax.Array], jax.Array]
    variables: Any
    back: Callable[[Network], Any]


class Linen(nn.Module):
    kind: str

    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.Conv(4, (3, 3), strides=2)(x)
        if self.kind == "convolutional":
            x = nn.relu(nn.Conv(4, (3, 3), feature_group_count=4)(nn.relu(x))).mean((1, 2))
        elif self.kind == "residual":
            y = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
            x = nn.Dropout(0.1, deterministic=not train)((x + nn.Conv(4, (3, 3))(y)).reshape(len(x), -1))
        elif self.kind == "attention":
            tokens = x.reshape(len(x), -1, 4)
            x = (tokens + nn.MultiHeadDotProductAttention(2)(nn.LayerNorm()(tokens))).mean(1)
        else:
            x = nn.RNN(nn.GRUCell(5))(x.reshape(len(x), 4, -1))[:, -1]
        return nn.Dense(3)(x)


class Nnx(nnx.Module):
    def __init__(self, kind, rngs):
        self.kind = kind
        self.stem = nnx.Conv(3, 4, (3, 3), strides=2, rngs=rngs)
        width = {"residual": 64, "recurrent": 5}.get(kind, 4)
        if kind == "convolutional":
            self.conv = nnx.Conv(4, 4, (3, 3), feature_group_count=4, rngs=rngs)
        elif kind == "residual":
            self.norm = nnx.BatchNorm(4, momentum=0.9, rngs=rngs)
            self.conv, self.drop = nnx.Conv(4, 4, (3, 3), rngs=rngs), nnx.Dropout(0.1, rngs=rngs)
        elif kind == "attention":
            self.norm = nnx.LayerNorm(4, rngs=rngs)
            self.attention = nnx.MultiHeadAttention(2, 4, decode=False, rngs=rngs)
        else:
            self.cell = nnx.RNN(nnx.GRUCell(16, 5, rngs=rngs))
        self.head = nnx.Linear(width, 3, rngs=rngs)

    def __call__(self, x):
        x = self.stem(x)
        if self.kind == "convolutional":
            x = nnx.relu(self.conv(nnx.relu(x))).mean((1, 2))
        elif self.kind == "residual":
            x = self.drop((x + self.conv(nnx.relu(self.norm(x)))).reshape(len(x), -1))
        elif self.kind == "attention":
            tokens = x.reshape(len(x), -1, 4)
            x = (tokens + self.attention(self.norm(tokens))).mean(1)
        else:
            x = self.cell(x.reshape(len(x), 4, -1), initial_carry=jnp.zeros((len(x), 5)))[:, -1]
        return self.head(x)


class Equinox(eqx.Module):
    kind: str = eqx.field(static=True)
    stem: eqx.nn.Conv2d
    parts: tuple
    head: eqx.nn.Linear

    def __init__(self, kind, key):
        self.kind = kind
        first, second, third = jax.random.split(key, 3)
        self.stem = eqx.nn.Conv2d(3, 4, 3, 2, padding=1, key=first)
        self.parts = {
            "convolutional": lambda: (eqx.nn.Conv2d(4, 4, 3, padding=1, groups=4, key=second),),
            "residual": lambda: (
                eqx.nn.BatchNorm(4, "batch", momentum=0.9, mode="batch"),
                eqx.nn.Conv2d(4, 4, 3, padding=1, key=second),
                eqx.nn.Dropout(0.1),
            ),
            "attention": lambda: (eqx.nn.LayerNorm(4), eqx.nn.MultiheadAttention(2, 4, key=second)),
            "recurrent": lambda: (eqx.nn.GRUCell(16, 5, key=second),),
        }[kind]()
        self.head = eqx.nn.Linear({"residual": 64, "recurrent": 5}.get(kind, 4), 3, key=third)

    def __call__(self, x, state=None, *, key=None):
        x = self.stem(x)
        if self.kind == "convolutional":
            x = jax.nn.relu(self.parts[0](jax.nn.relu(x))).mean((1, 2))
        elif self.kind == "residual":
            norm, conv, drop = self.parts
            y, state = norm(x, state)
            x = drop((x + conv(jax.nn.relu(y))).ravel(), key=key)
        elif self.kind == "attention":
            tokens = x.reshape(4, -1).T
            normed = jax.vmap(self.parts[0])(tokens)
            x = (tokens + self.parts[1](normed, normed, normed)).mean(0)
        else:
            rows = jnp.moveaxis(x, 1, 0).reshape(4, -1)
            x, _ = jax.lax.scan(lambda hidden, row: (self.parts[0](row, hidden), None), jnp.zeros(5), rows)
        return self.head(x) if state is None else (self.head(x), state)


def haiku(kind):
    """The transformed function; only the residual network has a state and draws."""
    hk = pytest.importorskip("haiku")

    def function(x, is_training=False):
        x = hk.Conv2D(4, 3, stride=2)(x)
        if kind == "convolutional":
            x = jax.nn.relu(hk.Conv2D(4, 3, feature_group_count=4)(jax.nn.relu(x))).mean((1, 2))
        elif kind == "residual":
            y = jax.nn.relu(hk.BatchNorm(True, True, 0.9)(x, is_training))
            x = (x + hk.Conv2D(4, 3)(y)).reshape(len(x), -1)
            x = hk.dropout(hk.next_rng_key(), 0.1, x) if is_training else x
        elif kind == "attention":
            tokens = x.reshape(len(x), -1, 4)
            normed = hk.LayerNorm(-1, True, True)(tokens)
            attention = hk.MultiHeadAttention(2, 2, model_size=4, w_init=hk.initializers.VarianceScaling(1.0))
            x = (tokens + attention(normed, normed, normed)).mean(1)
        else:
            core = hk.GRU(5)
            rows = x.reshape(len(x), 4, -1).transpose(1, 0, 2)
            x = hk.dynamic_unroll(core, rows, core.initial_state(len(x)))[0][-1]
        return hk.Linear(3)(x)

    return hk.transform_with_state(function) if kind == "residual" else hk.transform(function)


def case(library: str, kind: str) -> Case:
    """Takes in the network of a kind by the door of its library."""
    return {"linen": _linen, "nnx": _nnx, "equinox": _equinox, "haiku": _haiku}[library](kind)


def trainable(library: str) -> Trainable:
    """Takes in the residual network of a library to be trained."""
    if library == "linen":
        return interop.trainable_from_flax(Linen("residual"), PICTURES)
    if library == "nnx":
        return interop.trainable_from_nnx(Nnx("residual", nnx.Rngs(0)), PICTURES)
    if library == "equinox":
        made = eqx.nn.make_with_state(Equinox)("residual", KEY)
        return interop.trainable_from_equinox(made, PICTURES.transpose(0, 3, 1, 2))
    return interop.trainable_from_haiku(haiku("residual"), PICTURES)


def _linen(kind):
    module = Linen(kind)
    variables = jax.jit(module.init)(KEY, PICTURES)
    return Case(
        interop.from_flax(module, variables, PICTURES), lambda x: module.apply(variables, x), variables, interop.to_flax
    )


def _nnx(kind):
    module = Nnx(kind, nnx.Rngs(0))

    def infer(x):
        frozen = nnx.clone(module)
        frozen.eval()
        return frozen(x)

    def variables(module):
        return nnx.to_pure_dict(nnx.state(module, nnx.Not(nnx.RngState)))

    back = lambda network: variables(interop.to_nnx(network, module))  # noqa: E731
    return Case(interop.from_nnx(module, PICTURES), infer, variables(module), back)


def _equinox(kind):
    module, state = eqx.nn.make_with_state(Equinox)(kind, KEY)
    state = state if kind == "residual" else None
    example = PICTURES.transpose(0, 3, 1, 2)
    frozen = eqx.nn.inference_mode(module)

    def infer(x):
        return jax.vmap(lambda one: frozen(one) if state is None else frozen(one, state)[0])(x)

    def back(network):
        return eqx.filter(interop.to_equinox(network, module, state), eqx.is_array)

    came = eqx.filter(module if state is None else (module, state), eqx.is_array)
    return Case(interop.from_equinox(module, example, state), infer, came, back)


def _haiku(kind):
    transformed = haiku(kind)
    found = jax.jit(transformed.init, static_argnames="is_training")(KEY, PICTURES, is_training=True)
    params, state = found if kind == "residual" else (found, None)
    network = interop.from_haiku(transformed, params, PICTURES, state=state)
    if state is None:
        return Case(network, lambda x: transformed.apply(params, None, x), (params, {}), interop.to_haiku)
    return Case(network, lambda x: transformed.apply(params, state, None, x)[0], (params, state), interop.to_haiku)
