"""Networks leave as ONNX files that onnxruntime runs alike, and come back as they left."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxevo
from jaxevo import Network
from jaxevo.interop import from_onnx, to_onnx
from tests.interop.networks import PAIRS, case
from tests.networks import pictures

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

KEY = jax.random.key(0)
W = jax.random.normal(KEY, (6, 5))
KERNEL = 0.3 * jax.random.normal(KEY, (3, 3, 4, 6))
TABLE = jax.random.normal(KEY, (7, 3))


def net(function, shape, dtype=jnp.float32, params=None):
    apply = (lambda p, x: function(x)) if params is None else function
    return Network(apply, {"w": W} if params is None else params, jax.ShapeDtypeStruct(shape, dtype))


def session(model):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def drawn(network, batch):
    def one(leaf):
        key = jax.random.key(batch)
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            return np.asarray(jax.random.normal(key, (batch, *leaf.shape), leaf.dtype))
        if leaf.dtype == bool:
            return np.asarray(jax.random.bernoulli(key, 0.5, (batch, *leaf.shape)))
        return np.asarray(jax.random.randint(key, (batch, *leaf.shape), 0, 7, leaf.dtype))

    return jax.tree.map(one, network.inputs)


def check(network, batches=(1, 3, 16), tolerance=1e-5):
    """Asserts that onnxruntime gives what the network gives; returns the model."""
    model = to_onnx(network)
    onnx.checker.check_model(model, full_check=True)
    running, apply = session(model), jax.jit(network.apply)
    for batch in batches:
        inputs = drawn(network, batch)
        named = zip(running.get_inputs(), jax.tree.leaves(inputs), strict=True)
        found = running.run(None, {described.name: leaf for described, leaf in named})
        for got, wanted in zip(found, jax.tree.leaves(apply(network.params, inputs)), strict=True):
            wanted = np.asarray(wanted)
            assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
            scale = 1.0 if wanted.dtype == bool else np.abs(np.nan_to_num(wanted)).max()
            np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * max(scale, 1e-30))
    return model


def operators(model):
    return {node.op_type for node in model.graph.node}


def images(function, shape=(8, 8, 4)):
    return net(function, shape)


def convolution(x, kernel=KERNEL, strides=(1, 1), padding="SAME", **settings):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=numbers, **settings)


def scanned(x):
    def step(carry, row):
        carry = jnp.tanh(carry + row)
        return carry, 2 * carry

    last, rows = lax.scan(step, jnp.zeros(x.shape[::2]), jnp.moveaxis(x, 1, 0), reverse=True)
    return jnp.concatenate([last[:, None], jnp.moveaxis(rows, 0, 1)], 1)


ELEMENTWISE = {
    "arithmetic": lambda x: (x + 1) * x - x / (2 + x**2),
    "powers": lambda x: x**3 + jnp.abs(x) ** 0.3 + lax.integer_pow(x + 9, -1) + lax.rsqrt(x**2 + 1) + jnp.cbrt(x),
    "exponents": lambda x: jnp.exp(x) + jnp.exp2(x) + jnp.log(x**2 + 1) + jnp.log1p(x**2) + jnp.expm1(x),
    "small_exponents": lambda x: jnp.log1p(1e-6 * x) + jnp.expm1(1e-6 * x),
    "circles": lambda x: jnp.sin(x) + jnp.cos(x) + jnp.tan(x / 4) + jnp.arctan(x) + jnp.arcsin(jnp.tanh(x)),
    "hyperbolas": lambda x: jnp.sinh(x) + jnp.cosh(x) + jnp.arcsinh(x) + jnp.arctanh(jnp.tanh(x) / 2),
    "errors": lambda x: lax.erf(x) + lax.erfc(x / 2),
    "rounded": lambda x: jnp.floor(3 * x) + jnp.ceil(x) + jnp.round(5 * x) + lax.round(2 * x) + jnp.sign(x),
    "activations": lambda x: jax.nn.gelu(x) + jax.nn.silu(x) + jax.nn.softplus(x) + jax.nn.relu6(4 * x) + jax.nn.elu(x),
    "softmax": jax.nn.log_softmax,
    "choices": lambda x: jnp.where((x > 0) & ~(x > 1) | (x <= -1), x, jnp.clip(x, -0.5, x + 1)),
    "comparisons": lambda x: (x < 0.1) ^ (x >= -0.1) ^ (x == x) ^ (x != 0.0) ^ jnp.isfinite(1 / jnp.round(x)),
    "remainders": lambda x: jnp.fmod(5 * x, 1.5) + jnp.maximum(x, 0.1) + jnp.minimum(x, -x),
    "whole_numbers": lambda x: (jnp.round(9 * x).astype(jnp.int32) // 2 % 5 | 8) + 3,
}

SHAPED = {
    "reshaped": lambda x: x.reshape(len(x), -1)[:, ::3],
    "grouped_with_the_batch": lambda x: (x.reshape(-1, 4) @ W[:4]).reshape(len(x), 64, 5),
    "moved": lambda x: jnp.moveaxis(x, 3, 1)[:, :, None],
    "repeated": lambda x: x[:, :, :, None] + jnp.ones((2, 1)) + jnp.arange(8.0)[:, None, None],
    "joined": lambda x: jnp.concatenate([x, jnp.broadcast_to(W[0, :4], x.shape), x[:, ::-1]], 2),
    "doubled_batch": lambda x: (
        jnp.concatenate([x, x[:, ::-1]])[: len(x)] + jnp.split(jnp.concatenate([x, 2 * x]), 2)[1]
    ),
    "parts": lambda x: jnp.concatenate(jnp.split(x, [1, 5], axis=2)[::-1], 2)[:, 1:-1, ::2],
    "padded": lambda x: lax.pad(x, 2.0, ((0, 0, 0), (1, 2, 0), (-1, 3, 0), (0, -1, 0))),
    "stacked": lambda x: jnp.stack([*jnp.unstack(x, axis=2)[::2], x[:, 0]], 1),
    "tiled": lambda x: jnp.tile(x, (1, 2, 1, 3)) + jnp.zeros((len(x), 1, 1, 1)),
    "positions": lambda x: x * lax.broadcasted_iota(jnp.float32, x.shape, 2) + jnp.arange(len(x))[:, None, None, None],
    "one_place": lambda x: lax.dynamic_slice_in_dim(x, jnp.int32(x[0, 0, 0, 0] * 0 + 9), 3, 1),
    "one_update": lambda x: lax.dynamic_update_slice_in_dim(x, x[:, :3] * 2, jnp.int32(x[0, 0, 0, 0] * 0 + 2), 1),
}

REDUCED = {
    "sums": lambda x: x.sum((1, 2)) + x.mean(1).max(1) + x.min((1, 2)) + jnp.prod(x, (1, 2)),
    "repeated_sums": lambda x: jnp.broadcast_to(x[:, :1], x.shape).sum((1, 2)),
    "truths": lambda x: jnp.any(x > 2, (1, 2)) ^ jnp.all(x > -2, (1, 2)),
    "extremes": lambda x: jnp.argmax(x, 3) + jnp.argmin(x, 1)[:, :, :1],
    "running": lambda x: jnp.cumsum(x, 1) + lax.cumsum(x, 2, reverse=True),
    "order": lambda x: jnp.sort(x, 2) + jnp.argsort(x, 1) + lax.top_k(x, 2)[0].sum(-1, keepdims=True),
    "max_pool": lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME"),
    "min_pool": lambda x: lax.reduce_window(x, jnp.inf, lax.min, (1, 2, 2, 1), (1, 1, 2, 1), "VALID"),
    "sum_pool": lambda x: lax.reduce_window(x, 0.0, lax.add, (1, 1, 3, 1), (1, 1, 2, 1), "SAME"),
    "wide_padding": lambda x: lax.reduce_window(
        x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 1, 1, 1), ((0, 0), (2, 0), (0, 0), (0, 0))
    ),
    "windows_of_channels": lambda x: lax.reduce_window(x**2, 0.0, lax.add, (1, 1, 1, 3), (1, 1, 1, 1), "SAME"),
}

PRODUCTS = {
    "same": convolution,
    "strided": lambda x: convolution(x, strides=(2, 1), padding="VALID"),
    "dilated": lambda x: convolution(x, rhs_dilation=(2, 1)),
    "depthwise": lambda x: convolution(x, KERNEL[:, :, :1, :4], feature_group_count=4),
    "grouped": lambda x: convolution(x, KERNEL[:, :, :2], feature_group_count=2),
    "cropped": lambda x: convolution(x, padding=((-1, 2), (0, -2))),
    "transposed": lambda x: convolution(x, padding=((2, 2), (1, 2)), lhs_dilation=(2, 3)),
    "transposed_groups": lambda x: convolution(
        x, KERNEL[:, :, :2], padding=((2, 1), (2, 2)), lhs_dilation=(2, 1), feature_group_count=2
    ),
    "rows": lambda x: lax.conv(x[:, 0].transpose(0, 2, 1), KERNEL[0].transpose(2, 1, 0), (1,), "SAME"),
    "matrices": lambda x: x @ W[:4] + jnp.einsum("bhwc,bhvc->bhwv", x, x)[..., :5],
    "vectors": lambda x: jnp.einsum("bhwc,c->bhw", x, W[0, :4]) + jnp.einsum("bhwc,bhwc->bhw", x, x),
    "tensors": lambda x: jnp.einsum("bhwc,wcd->bhd", x, jnp.stack([W[:4]] * 8)) + jnp.einsum("bhwc->bh", x)[..., None],
    "outer": lambda x: jnp.einsum("bh,bw->bhw", x[:, :, 0, 0], x[:, 0, :, 0]),
}

INDEXED = {
    "along": lambda x: jnp.take_along_axis(x, jnp.argsort(x, 1)[:, ::2], 1),
    "table": lambda x: jnp.take(TABLE, jnp.int32(x * 3) % 7, axis=0),
    "outside": lambda x: jnp.take(TABLE, jnp.int32(x * 9), axis=0, mode="fill", fill_value=-1.0),
    "flattened": lambda x: x.reshape(-1)[np.arange(x.size).reshape(len(x), -1)[:, ::3]],
    "clipped": lambda x: TABLE.at[jnp.int32(x * 9)].get(mode="clip"),
    "columns": lambda x: x[:, :, jnp.array([3, 0, 0])],
    "pairs": lambda x: x[:, jnp.array([0, 1]), jnp.array([3, 2])],
    "windows": lambda x: jax.vmap(lambda one, at: lax.dynamic_slice(one, (at, 0, 1), (2, 8, 2)))(
        x, jnp.int32(jnp.abs(x[:, 0, 0, 0]) * 4)
    ),
}

CONTROLLED = {
    "scan": lambda x: scanned(x[..., 0]),
    "branch": lambda x: lax.cond(x.sum() * 0 > 1, lambda y: y + 1, lambda y: 2 * y, x),
    "branches": lambda x: lax.switch(jnp.int32(x.sum() * 0) + 1, [lambda y: y, lambda y: 3 * y, lambda y: -y], x),
    "steps": lambda x: lax.fori_loop(0, jnp.int32(x.sum() * 0) + 4, lambda i, y: y + i * x, x),
    "checkpointed": jax.checkpoint(lambda x: jnp.sin(x)),
}


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(function, id=name)
        for group in (ELEMENTWISE, SHAPED, REDUCED, PRODUCTS, INDEXED, CONTROLLED)
        for name, function in group.items()
    ],
)
def test_what_a_network_computes_is_what_onnxruntime_gives(function):
    check(images(function), batches=(1, 3))


@pytest.mark.parametrize(("library", "kind"), PAIRS)
def test_networks_of_every_library_leave_and_come_back_with_their_parameters(library, kind):
    network = case(library, kind).network
    model = check(network)
    back = from_onnx(model)
    inputs = drawn(network, 3)
    np.testing.assert_allclose(back(inputs), network(inputs), atol=1e-5)
    there = {leaf.shape for leaf in back.params.values()}
    assert there <= {leaf.shape for leaf in jax.tree.leaves(network.params)}
    again = from_onnx(to_onnx(back))
    assert jax.tree.map(np.shape, again.params) == jax.tree.map(np.shape, back.params)
    assert all(np.array_equal(again.params[name], back.params[name]) for name in back.params)
    np.testing.assert_allclose(again(inputs), network(inputs), atol=1e-5)


def test_floats_become_bytes_as_in_jax_where_they_are_out_of_range():
    for dtype in (jnp.int8, jnp.uint8, jnp.int16):
        model = to_onnx(net(lambda x, dtype=dtype: x.astype(dtype), (4,)))
        x = np.array([[127.5, -1.0, 300.0, -70000.0]], np.float32)
        found = session(model).run(None, {session(model).get_inputs()[0].name: x})[0]
        np.testing.assert_array_equal(found, np.asarray(jnp.asarray(x).astype(dtype)))


def test_moves_of_axes_that_undo_each_other_are_not_written():
    def apply(params, x):
        for _ in range(3):
            x = jax.nn.relu(convolution(x, params["kernel"]) + params["bias"])
        return x.mean((1, 2))

    params = {"kernel": KERNEL[:, :, :, :4], "bias": W[0, :4]}
    model = check(net(apply, (8, 8, 4), params=params))
    # One for the pictures, one for the kernel that all three share.
    assert sum(node.op_type == "Transpose" for node in model.graph.node) == 2


def test_parameters_keep_their_names_and_constants_do_not_become_parameters():
    tree = {"block": [{"scale": W[0]}, {"scale": jnp.float32(2.0)}], "unused": W}
    mask = np.linspace(0, 1, 5, dtype=np.float32)
    network = net(lambda p, x: x * p["block"][0]["scale"] * p["block"][1]["scale"] + mask + 0.25, (5,), params=tree)
    back = from_onnx(check(network))
    assert {name: np.shape(leaf) for name, leaf in back.params.items()} == {"block/0/scale": (5,), "block/1/scale": ()}


def test_several_inputs_and_outputs_keep_their_names():
    inputs = {"ids": jax.ShapeDtypeStruct((4,), jnp.int32), "x": jax.ShapeDtypeStruct((4, 3), jnp.float32)}

    def apply(params, given):
        found = params["table"][given["ids"]] + given["x"]
        return {"sum": found.sum(1), "count": (given["ids"] > 2).sum(1)}

    model = check(Network(apply, {"table": TABLE}, inputs))
    assert [value.name for value in model.graph.input] == ["ids", "x"]
    assert sorted(value.name for value in model.graph.output) == ["count", "sum"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_half_precision_leaves_in_half_precision():
    network = net(lambda p, x: x @ p["w"], (6,), jnp.float16, {"w": W.astype(jnp.float16)})
    check(network, tolerance=2e-3)


def test_files_are_written_whole_and_read_back(tmp_path):
    network = case("linen", "convolutional").network
    path = tmp_path / "child.onnx"
    path.write_text("what lay there")
    to_onnx(network, path)
    assert list(tmp_path.iterdir()) == [path]
    inputs = pictures(0, 2)
    np.testing.assert_allclose(from_onnx(path)(inputs), network(inputs), atol=1e-5)


def test_large_arrays_go_beside_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxevo.interop.onnx.exporting._LARGE", 1000)
    network = net(lambda p, x: x @ p["w"], (60,), params={"w": jnp.ones((60, 50))})
    to_onnx(network, tmp_path / "large.onnx")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["large.onnx", "large.onnx.data"]
    assert (tmp_path / "large.onnx").stat().st_size < 2000
    np.testing.assert_allclose(from_onnx(tmp_path / "large.onnx")(np.ones((2, 60), np.float32)), 60.0)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: lax.erf_inv(x / 9) + jax.scipy.special.digamma(x), "digamma .1 times.*erf_inv .1 times"),
        (lambda x: x - x.mean(0), "div depends on the batch: it holds numbers that differ with the batch's length"),
        (lambda x: jnp.concatenate([x, x[:1]])[1:], "concatenate depends on the batch: 4 and 6 for batches of 3 and 5"),
        (lambda x: x.sum(0), "an output of network 'network' has no batch axis in front"),
        (lambda x: jnp.sin(x) if len(x) > 4 else x, "something else at another batch size"),
        (lambda x: lax.reduce_precision(x, 5, 2), "rounds to fewer bits"),
        (lambda x: lax.reduce_window(jnp.int32(x), 0, lax.add, (1, 2), (1, 2), "VALID"), "has windows over int32"),
    ],
)
def test_what_no_file_can_say_is_refused(function, message):
    with pytest.raises(ValueError, match=message):
        to_onnx(net(function, (5,)))


def test_wrong_arguments_are_refused(tmp_path):
    network = net(lambda x: x, (5,))
    with pytest.raises(TypeError, match=r"network is a dict, expected a jaxevo\.Network"):
        to_onnx(network.params)
    with pytest.raises(ValueError, match=r"path is .*expected a name that ends in .onnx"):
        to_onnx(network, tmp_path / "child.pb")
    with pytest.raises(ValueError, match="is no folder"):
        to_onnx(network, tmp_path / "nowhere" / "child.onnx")


@pytest.mark.parametrize("noted", ["[1, 2]", "{", '{"w": 1}'])
def test_notes_of_a_file_that_are_no_names_are_refused(noted):
    model = to_onnx(dataclasses.replace(net(lambda x: x, (5,)), name="noted"))
    model.metadata_props[0].value = noted
    with pytest.raises(ValueError, match=r"metadata 'jaxevo\.parameters'"):
        jaxevo.from_onnx(model)
