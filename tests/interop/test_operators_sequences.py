"""Recurrent layers, attention, signals and quantisation of the ONNX table against other runtimes."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo.interop.onnx.operators import attention, quantisation, recurrent, signals  # noqa: F401
from jaxevo.interop.onnx.table import Call, find
from tests.interop.test_operators_windows import compare, normal

STEPS, BATCH, INPUTS, HIDDEN = 4, 3, 2, 3
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def layer(name, directions, lengths=None, peepholes=False):
    """Returns all inputs of a recurrent layer."""
    gates = GATES[name] * HIDDEN
    inputs = [normal(STEPS, BATCH, INPUTS), normal(directions, gates, INPUTS), normal(directions, gates, HIDDEN)]
    inputs += [normal(directions, 2 * gates), lengths, normal(directions, BATCH, HIDDEN)]
    if name == "LSTM":
        inputs += [normal(directions, BATCH, HIDDEN, seed=1), normal(directions, 3 * HIDDEN) if peepholes else None]
    return inputs


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("RNN", {"direction": "bidirectional", "activations": ["Relu", "Affine"], "activation_alpha": [0.5]}),
        ("RNN", {"direction": "reverse", "clip": 0.4}),
        ("GRU", {"direction": "bidirectional", "clip": 0.6}),
        ("GRU", {"direction": "forward", "linear_before_reset": 1, "activations": ["HardSigmoid", "Softsign"]}),
        ("LSTM", {"direction": "bidirectional"}),
        ("LSTM", {"direction": "reverse", "input_forget": 1}),
    ],
)
def test_recurrent_layers_agree_on_sequences_of_any_length(name, attributes):
    inputs = layer(name, 2 if attributes["direction"] == "bidirectional" else 1, np.array([4, 1, 3], np.int32), True)
    outputs = 3 if name == "LSTM" else 2
    compare(name, inputs, opset=14, outputs=outputs, hidden_size=HIDDEN, **attributes)


def test_a_layer_may_have_the_batch_first_and_no_lengths():
    inputs = layer("LSTM", 1)
    inputs[0] = inputs[0].swapaxes(0, 1).copy()
    inputs[5:7] = [x.swapaxes(0, 1).copy() for x in inputs[5:7]]
    compare("LSTM", inputs, opset=14, outputs=3, runtime=False, hidden_size=HIDDEN, layout=1)


@pytest.mark.parametrize(
    ("past", "mask", "attributes"),
    [
        (False, None, {"is_causal": 1, "softcap": 2.0, "qk_matmul_output_mode": 1}),
        (True, "bool", {"is_causal": 1, "qk_matmul_output_mode": 2}),
        (True, "float", {"scale": 0.3, "qk_matmul_output_mode": 3}),
        (False, "hidden", {"qk_matmul_output_mode": 0}),
    ],
)
def test_attention_agrees(past, mask, attributes):
    heads, shared, features = 4, 2, 3
    inputs = [normal(2, 5, heads * features), normal(2, 5, shared * features), normal(2, 5, shared * 2)]
    keys = 5 + 2 * past
    masks = {
        None: None,
        "bool": np.arange(keys) % 3 != np.arange(5)[:, None] % 3,
        "float": normal(2, 1, 5, keys),
        "hidden": np.repeat([[True], [False], [True], [True], [False]], keys, 1),
    }
    inputs.append(masks[mask])
    inputs += [normal(2, shared, 2, features), normal(2, shared, 2, 2)] if past else [None, None]
    heads = {"q_num_heads": heads, "kv_num_heads": shared}
    compare("Attention", inputs, opset=23, outputs=4, runtime=False, tolerance=1e-5, **heads, **attributes)


@pytest.mark.parametrize("interleaved", [0, 1])
def test_rotary_embedding_of_a_part_of_the_features_agrees(interleaved):
    inputs = [normal(2, 3, 4 * 6), normal(7, 2), normal(7, 2, seed=1), np.array([[0, 3, 6], [2, 1, 0]])]
    attributes = {"num_heads": 4, "rotary_embedding_dim": 4, "interleaved": interleaved}
    compare("RotaryEmbedding", inputs, opset=23, runtime=False, **attributes)


@pytest.mark.parametrize(
    ("channels", "length", "attributes"),
    [(1, 7, {"onesided": 1}), (2, 9, {}), (2, None, {"inverse": 1}), (2, 7, {"inverse": 1, "onesided": 1})],
)
def test_fourier_transforms_agree_before_and_since_opset_20(channels, length, attributes):
    x, size = normal(2, 8, 3, channels), None if length is None else np.array(length)
    compare("DFT", [x, size, np.array(-3)], opset=20, static=(1, 2), runtime=False, grads=False, **attributes)
    compare("DFT", [x, size], opset=17, static=(1,), runtime=False, axis=1, **attributes)


def test_short_time_fourier_transform_agrees():
    inputs = [normal(2, 20, 1), np.array(3), normal(8), np.array(8)]
    compare("STFT", inputs, static=(1, 3), runtime=False)


def test_windows_and_mel_weights_agree():
    for name, periodic in itertools.product(("HannWindow", "HammingWindow", "BlackmanWindow"), (0, 1)):
        compare(name, [np.array(9)], static=(0,), periodic=periodic, runtime=False)
    inputs = [np.array(v) for v in (12, 64, 8000)] + [np.array(v, np.float32) for v in (20.0, 3800.0)]
    compare("MelWeightMatrix", inputs, static=range(5))


X = np.linspace(-9, 9, 24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize("zero", [np.uint8(7), np.int8(-3), np.uint16(300), np.int16(-9)])
def test_quantisation_rounds_half_to_even_and_saturates(zero):
    values = np.append(np.float32([0.5, 1.5, -2.5, 1e9, -1e9]), X)
    inputs = [values, np.float32(1), np.array(zero)]
    compare("QuantizeLinear", inputs, opset=21, runtime=False, tolerance=0, grads=False)


@pytest.mark.parametrize("block", [0, 2])
def test_scales_of_axes_and_blocks_agree(block):
    shape = (2, 3, 2) if block else (3,)
    scale, zero = np.abs(normal(*shape)) + 0.1, np.arange(np.prod(shape), dtype=np.int8).reshape(shape)
    attributes = {"axis": 2, "block_size": 2} if block else {"axis": -2}
    compare("QuantizeLinear", [X, scale, zero], opset=21, tolerance=0, **attributes)
    compare("DequantizeLinear", [(10 * X).astype(np.int8), scale, zero], opset=21, **attributes)


def test_numbers_of_four_bits_and_floats_of_eight():
    import ml_dtypes

    inputs = [X, np.float32(0.7)]
    compare("QuantizeLinear", [*inputs, np.array(1, ml_dtypes.int4)], opset=21, runtime=False, tolerance=0)
    compare("DequantizeLinear", [X.astype(ml_dtypes.uint4), *inputs[1:]], opset=21, runtime=False)
    for saturate in (0, 1):
        values = np.append(X, np.float32([1e6, -1e6]))
        zero = np.zeros((), ml_dtypes.float8_e4m3fn)
        given = [values, np.float32(1), zero]
        compare("QuantizeLinear", given, opset=21, runtime=False, tolerance=0, grads=False, saturate=saturate)


def test_a_quotient_that_lies_just_below_a_half_is_not_rounded_up():
    # -2.5 / (5 / 255) is -127.49999 in float32, and -127.5 as a product with the reciprocal.
    x = np.array([0, 2, -3, -2.5, 1.34, 0.5], np.float32)
    compare("DynamicQuantizeLinear", [x], outputs=3, runtime=False, tolerance=0, grads=False)


def test_quantised_products_agree():
    generator = np.random.default_rng(0)

    def draw(*shape):
        return generator.integers(0, 256, shape, np.uint8)

    scale, zero = np.float32, lambda value: np.array(value, np.uint8)
    weights = [draw(3, 4, 3, 3), np.float32([0.01, 0.02, 0.015]), draw(3)]
    bias = np.array([4000, -3000, 0], np.int32)
    inputs = [draw(2, 4, 6, 6), scale(0.1), zero(120), *weights, scale(2.5), zero(100), bias]
    compare("QLinearConv", inputs, opset=10, tolerance=1 / 255, strides=[2, 2], pads=[1, 1, 0, 0])
    a, b = [draw(4, 5), scale(0.1), zero(120)], [draw(5, 3), scale(0.02), zero(111)]
    compare("QLinearMatMul", [*a, *b, scale(0.7), zero(100)], opset=10, tolerance=1 / 255)
    # Other libraries round halves of float32 products their own way: off by one at most.
    ms = {"domain": "com.microsoft", "tolerance": 1 / 128}
    compare("QLinearAdd", [*a, draw(4, 5), scale(0.05), zero(9), scale(0.2), zero(80)], **ms)
    compare("QGemm", [*a, *b, np.array([9, 0, -9], np.int32), scale(0.7), zero(100)], alpha=0.5, **ms)


def test_an_unknown_activation_is_refused():
    call = Call("RNN", "node", 14, {"activations": ("Gelu",)}, (True, False))
    with pytest.raises(ValueError, match="Gelu"):
        find("", "RNN")(call, *(jnp.asarray(x) for x in layer("RNN", 1)[:3]))
