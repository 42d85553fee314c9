"""Recurrent layers of ONNX: T steps, B sequences, I inputs, H hidden units, D directions."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from jaxevo.interop.onnx.table import Call, operator

#: Activation functions, with the defaults of their alpha and beta; what has no default takes none.
_ACTIVATIONS: dict[str, tuple[Callable, tuple[float, ...]]] = {
    "relu": (jax.nn.relu, ()),
    "tanh": (jnp.tanh, ()),
    "sigmoid": (jax.nn.sigmoid, ()),
    "softsign": (jax.nn.soft_sign, ()),
    "softplus": (jax.nn.softplus, ()),
    "leakyrelu": (lambda x, alpha: jnp.where(x >= 0, x, alpha * x), (0.01,)),
    "thresholdedrelu": (lambda x, alpha: jnp.where(x >= alpha, x, 0), (1.0,)),
    "elu": (lambda x, alpha: jax.nn.elu(x, alpha), (1.0,)),
    "affine": (lambda x, alpha, beta: alpha * x + beta, (1.0, 0.0)),
    "scaledtanh": (lambda x, alpha, beta: alpha * jnp.tanh(beta * x), (1.0, 1.0)),
    "hardsigmoid": (lambda x, alpha, beta: jnp.clip(alpha * x + beta, 0, 1), (0.2, 0.5)),
}


def _activations(call: Call, defaults: Sequence[str], directions: int) -> list[list[Callable]]:
    """Returns the activation functions of each direction; alpha and beta are taken in turn by those that use them."""
    names = call.get("activations") or tuple(defaults) * directions
    if len(names) != len(defaults) * directions or any(name.lower() not in _ACTIVATIONS for name in names):
        raise call.refuse(f"activations are {names}, expected {len(defaults) * directions} of {sorted(_ACTIVATIONS)}")
    given = [list(call.get("activation_alpha") or ()), list(call.get("activation_beta") or ())]
    clip, functions = call.get("clip"), []
    for name in names:
        function, standard = _ACTIVATIONS[name.lower()]
        values = [rest.pop(0) if rest else value for value, rest in zip(standard, given, strict=False)]
        functions.append(_clipped(function, values, clip))
    return [functions[i : i + len(defaults)] for i in range(0, len(names), len(defaults))]


def _clipped(function: Callable, values: Sequence[float], clip: float | None) -> Callable:
    """Clips what goes into an activation function, all of them as specified; onnxruntime spares the last of LSTM."""
    return lambda x: function(x if clip is None else jnp.clip(x, -clip, clip), *values)


def _run(call: Call, gates: int, defaults: Sequence[str], make_step: Callable, x, w, r, b, lengths, initial):
    """Runs a recurrent layer.

    Args:
      call: the node.
      gates: number of gates.
      defaults: the activation functions of one direction.
      make_step: `(direction, functions, r [gates * H, H], bias of r [gates * H]) -> step`, where
        `step(state, inputs [B, gates * H]) -> state`; a state is a tuple, the hidden units [B, H] first.
      x: [T, B, I], or [B, T, I] where the layout is 1.
      w, r, b: as in ONNX; b may be None.
      lengths: steps of each sequence [B], or None.
      initial: what the states begin with, each [D, B, H], [B, D, H] where the layout is 1, or None for zeros.

    Returns:
      Hidden units of all steps and each last state, in ONNX's layout.
    """
    batch_first, direction = call.get("layout", 0) == 1, call.get("direction", "forward")
    if (direction == "bidirectional") + 1 != w.shape[0]:
        raise call.refuse(f"direction is {direction!r}, but the weights have {w.shape[0]} directions")
    x = jnp.asarray(x)
    if batch_first:
        x = x.swapaxes(0, 1)
        initial = [None if value is None else value.swapaxes(0, 1) for value in initial]
    hidden = r.shape[-1]
    start = [
        jnp.zeros((w.shape[0], x.shape[1], hidden), x.dtype) if value is None else jnp.asarray(value, x.dtype)
        for value in initial
    ]
    b = jnp.zeros((w.shape[0], 2 * gates * hidden), x.dtype) if b is None else b
    outputs, lasts = [], []
    for d, functions in enumerate(_activations(call, defaults, w.shape[0])):
        bias_w, bias_r = b[d, : gates * hidden], b[d, gates * hidden :]
        inputs = jnp.einsum("tbi,gi->tbg", x, w[d]) + bias_w
        backward = direction == "reverse" or d == 1
        step = make_step(d, functions, r[d], bias_r)
        y, last = _scan(step, tuple(value[d] for value in start), inputs, lengths, backward)
        outputs.append(y)
        lasts.append(last)
    y = jnp.stack(outputs, 1)  # [T, D, B, H]
    states = [jnp.stack(values) for values in zip(*lasts, strict=True)]
    if batch_first:
        return y.transpose(2, 0, 1, 3), *(state.swapaxes(0, 1) for state in states)
    return y, *states


def _scan(step: Callable, start: tuple, inputs, lengths, backward: bool):
    """Runs all steps of one direction; past its length a sequence keeps its state and its outputs are zero."""
    if lengths is None:

        def whole(state, value):
            state = step(state, value)
            return state, state[0]

        last, y = lax.scan(whole, start, inputs, reverse=backward)
        return y, last
    times, lengths = jnp.arange(inputs.shape[0])[:, None], jnp.asarray(lengths)[None]
    # Backwards, each sequence starts at its own last step.
    order = jnp.where(times < lengths, lengths - 1 - times, times)[..., None] if backward else None
    inputs = inputs if order is None else jnp.take_along_axis(inputs, order, 0)

    def masked(state, value):
        value, going = value
        state = tuple(jnp.where(going, new, old) for new, old in zip(step(state, value), state, strict=True))
        return state, jnp.where(going, state[0], 0)

    last, y = lax.scan(masked, start, (inputs, (times < lengths)[..., None]))
    return (y if order is None else jnp.take_along_axis(y, order, 0)), last


@operator("RNN")
def rnn(call, x, w, r, b=None, sequence_lens=None, initial_h=None):
    def make_step(_, functions, r, bias):
        return lambda state, inputs: (functions[0](inputs + state[0] @ r.T + bias),)

    return _run(call, 1, ("Tanh",), make_step, x, w, r, b, sequence_lens, [initial_h])


@operator("GRU")
def gru(call, x, w, r, b=None, sequence_lens=None, initial_h=None):
    linear = call.get("linear_before_reset", 0)

    def make_step(_, functions, r, bias):
        gate, candidate = functions
        size = r.shape[-1]

        def step(state, inputs):
            (h,) = state
            both = gate(inputs[:, : 2 * size] + h @ r[: 2 * size].T + bias[: 2 * size])
            update, reset = both[:, :size], both[:, size:]
            if linear:
                recurrent = reset * (h @ r[2 * size :].T + bias[2 * size :])
            else:
                recurrent = (reset * h) @ r[2 * size :].T + bias[2 * size :]
            return ((1 - update) * candidate(inputs[:, 2 * size :] + recurrent) + update * h,)

        return step

    return _run(call, 3, ("Sigmoid", "Tanh"), make_step, x, w, r, b, sequence_lens, [initial_h])


@operator("LSTM")
def lstm(call, x, w, r, b=None, sequence_lens=None, initial_h=None, initial_c=None, p=None):
    coupled = call.get("input_forget", 0)

    def make_step(d, functions, r, bias):
        gate, cell, out = functions
        peepholes = jnp.zeros((3, 1), r.dtype) if p is None else p[d].reshape(3, -1)

        def step(state, inputs):
            h, c = state
            i, o, f, g = jnp.split(inputs + h @ r.T + bias, 4, -1)
            i = gate(i + peepholes[0] * c)
            f = 1 - i if coupled else gate(f + peepholes[2] * c)
            c = f * c + i * cell(g)
            o = gate(o + peepholes[1] * c)
            return o * out(c), c

        return step

    defaults = ("Sigmoid", "Tanh", "Tanh")
    return _run(call, 4, defaults, make_step, x, w, r, b, sequence_lens, [initial_h, initial_c])
