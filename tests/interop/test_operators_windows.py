"""Convolutions, pools, normalisations and products of the ONNX table against other runtimes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo.interop.onnx.operators import convolutions, detection, normalisations, pools, products  # noqa: F401
from jaxevo.interop.onnx.table import Call, find

onnx = pytest.importorskip("onnx")
from onnx import helper, reference  # noqa: E402


def compare(
    name, inputs, *, opset=18, static=(), outputs=1, domain="", runtime=True, tolerance=1e-5, grads=True, **attributes
):
    """Runs one node in jaxevo and elsewhere; both must agree, and gradients by floating-point inputs be finite.

    Args:
      name, domain, opset, attributes: of the operator.
      inputs: numpy arrays, None for what is left out.
      static: which of them are known before the network runs.
      outputs: number of outputs.
      runtime: onnxruntime where true, the reference of the `onnx` package otherwise.
      tolerance: largest difference, as a share of the largest number.
      grads: whether to look at gradients.
    """
    inputs = [None if x is None else np.asarray(x) for x in inputs]
    expected = _elsewhere(name, inputs, opset, outputs, domain, runtime, attributes)
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in attributes.items()}
    call = Call(name, "node", opset, given, (True,) * outputs)
    traced = {i: jnp.asarray(x) for i, x in enumerate(inputs) if x is not None and i not in static}

    @jax.jit
    def run(traced):
        def results(traced):
            y = find(domain, name)(call, *(traced.get(i, x) for i, x in enumerate(inputs)))
            return (y if isinstance(y, tuple) else (y,))[:outputs]

        def loss(real):
            ys = [y for y in results(traced | real) if jnp.issubdtype(y.dtype, jnp.floating)]
            return sum(((jnp.cos(jnp.arange(y.size)).reshape(y.shape) * y).sum() for y in ys), jnp.float32(0))

        real = {i: x for i, x in traced.items() if jnp.issubdtype(x.dtype, jnp.floating)}
        return results(traced), jax.grad(loss)(real) if grads and real else {}

    actual, slopes = run(traced)
    for a, b in zip(actual, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        assert a.dtype == (np.int32 if b.dtype == np.int64 else b.dtype)
        a, b = a.astype(np.float64), b.astype(np.float64)
        largest = np.abs(b[np.isfinite(b)]).max(initial=0)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * largest)
    for slope in slopes.values():
        assert np.isfinite(np.asarray(slope, np.float32)).all()


def _elsewhere(name, inputs, opset, outputs, domain, runtime, attributes):
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    results = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(name, names, results, domain=domain, **attributes)
    code = helper.np_dtype_to_tensor_dtype
    values = [helper.make_tensor_value_info(n, code(x.dtype), x.shape) for n, x in zip(names, inputs, strict=True) if n]
    graph = helper.make_graph([node], "g", values, [onnx.ValueInfoProto(name=r) for r in results])
    imports = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    feed = {n: x for n, x in zip(names, inputs, strict=True) if n}
    if not runtime:
        return reference.ReferenceEvaluator(model).run(None, feed)
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feed)


def normal(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed + sum(shape)).normal(size=shape).astype(dtype)


@pytest.mark.parametrize(
    ("x", "w", "attributes"),
    [
        ((2, 3, 9), (4, 3, 3), {"strides": [2], "pads": [1, 0]}),
        ((2, 4, 7, 8), (6, 2, 3, 2), {"group": 2, "dilations": [2, 1], "strides": [1, 2], "pads": [1, 0, 2, 1]}),
        ((1, 4, 7, 8), (4, 1, 3, 3), {"group": 4, "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        ((1, 2, 8, 8), (3, 2, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
        ((1, 2, 5, 6, 7), (3, 2, 2, 3, 2), {"auto_pad": "VALID", "strides": [1, 2, 1]}),
    ],
)
def test_convolutions_agree(x, w, attributes):
    compare("Conv", [normal(*x), normal(*w), normal(w[0])], **attributes)


@pytest.mark.parametrize(
    ("x", "w", "attributes"),
    [
        ((2, 3, 6), (3, 2, 3), {"strides": [2], "pads": [1, 0], "output_padding": [1]}),
        ((1, 4, 4, 5), (4, 3, 3, 2), {"group": 2, "strides": [2, 3], "dilations": [2, 1], "pads": [1, 0, 0, 1]}),
        ((1, 2, 3, 3), (2, 2, 3, 3), {"strides": [3, 2], "output_shape": [10, 8]}),
        ((1, 2, 4, 4), (2, 2, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_UPPER", "output_shape": [7, 8]}),
        ((1, 2, 3, 3, 2), (2, 1, 2, 2, 2), {"strides": [2, 1, 2], "auto_pad": "SAME_LOWER"}),
    ],
)
def test_transposed_convolutions_agree(x, w, attributes):
    channels = w[1] * attributes.get("group", 1)
    compare("ConvTranspose", [normal(*x), normal(*w), normal(channels)], **attributes)


def test_deformable_convolution_of_groups_agrees():
    x, w, offset, mask = normal(2, 4, 6, 7), normal(6, 2, 3, 2), normal(2, 24, 4, 3), normal(2, 12, 4, 3)
    inputs = [x, w, 1.5 * offset, normal(6), mask]
    attributes = {"group": 2, "offset_group": 2, "strides": [2, 2], "pads": [2, 0, 1, 1], "dilations": [1, 2]}
    compare("DeformConv", inputs, opset=19, tolerance=1e-4, **attributes)


def test_integer_convolution_accumulates_in_32_bits():
    generator = np.random.default_rng(0)
    x, w = generator.integers(0, 256, (1, 40, 5, 5), np.uint8), generator.integers(0, 256, (3, 40, 3, 3), np.uint8)
    inputs = [x, w, np.array(3, np.uint8), np.array([1, 2, 255], np.uint8)]
    compare("ConvInteger", inputs, opset=10, runtime=False, tolerance=0, pads=[1, 1, 1, 1])


def test_blocks_are_added_into_an_image():
    shapes = [np.array([6, 7]), np.array([3, 2])]
    compare("Col2Im", [normal(2, 18, 16), *shapes], static=(1, 2), dilations=[1, 2], strides=[2, 2], pads=[1, 1, 2, 1])


POOLS = [
    ((2, 3, 9), {"kernel_shape": [3], "strides": [2], "pads": [1, 0]}),
    ((1, 2, 8, 9), {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1], "ceil_mode": 1}),
    ((1, 2, 7, 7), {"kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1}),
    ((1, 2, 8, 8), {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    ((1, 1, 5, 6, 7), {"kernel_shape": [2, 3, 2], "strides": [1, 2, 2], "pads": [0, 1, 0, 1, 1, 1]}),
]


@pytest.mark.parametrize(("shape", "attributes"), POOLS)
def test_pools_agree(shape, attributes):
    x = normal(*shape)
    compare("MaxPool", [x], **attributes)
    for include in (0, 1):
        compare("AveragePool", [x], opset=19, count_include_pad=include, **attributes)
    compare("LpPool", [x], p=3, tolerance=1e-4, **attributes)


@pytest.mark.parametrize("order", [0, 1])
def test_indices_of_maxima_agree(order):
    attributes = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 1, 0, 0], "dilations": [1, 2]}
    compare("MaxPool", [normal(2, 3, 7, 6)], outputs=2, storage_order=order, **attributes)


def test_dilated_pools_agree():
    compare("MaxPool", [normal(1, 2, 9, 9)], kernel_shape=[3, 2], dilations=[2, 3], strides=[2, 1])
    compare("AveragePool", [normal(1, 2, 9, 9)], opset=19, kernel_shape=[3, 2], dilations=[2, 3], pads=[1, 0, 1, 0])


def test_means_of_whole_numbers_are_rounded_towards_zero():
    x = np.array([[-3, 0], [3, 0], [-1, -2]])
    compare("ReduceMean", [x.astype(np.int32)], opset=13, axes=[1])


def test_more_than_an_axis_holds_cannot_be_the_largest():
    call = Call("TopK", "node", 11, {}, (True, True))
    with pytest.raises(ValueError, match="k is 9, expected 0 to 6"):
        find("", "TopK")(call, jnp.zeros((1, 6)), np.array([9]))


def test_maximum_of_bytes():
    compare("MaxPool", [np.arange(-32, 32, dtype=np.int8).reshape(1, 1, 8, 8)], kernel_shape=[3, 3], pads=[1, 1, 1, 1])


def test_pools_of_everything_agree():
    for name in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"):
        compare(name, [normal(2, 3, 4, 5)])


@pytest.mark.parametrize("shape", [None, (1, 1, 5, 5)])
def test_maxima_go_back_where_they_were(shape):
    x, places = normal(1, 1, 2, 2), np.array([[[[1, 3], [4, 15]]]])
    inputs = [x, places] if shape is None else [x, places, np.array(shape)]
    compare("MaxUnpool", inputs, static=(2,), runtime=False, kernel_shape=[2, 2], strides=[2, 2])


ROIS = np.array([[0, 1, 9, 8], [2, 2, 3, 3], [-3, 4, 20, 30], [5, 6, 5.5, 9]], np.float32)


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize(("ratio", "static"), [(2, ()), (0, (1,))])
def test_aligned_regions_agree(mode, ratio, static):
    inputs = [normal(2, 3, 10, 12), ROIS, np.array([0, 1, 1, 0])]
    attributes = {"mode": mode, "sampling_ratio": ratio, "output_height": 3, "output_width": 2, "spatial_scale": 0.7}
    compare("RoiAlign", inputs, opset=16, static=static, tolerance=1e-4, **attributes)
    compare("RoiAlign", inputs, opset=10, static=static, tolerance=1e-4, grads=False, **attributes)


def test_samples_that_depend_on_the_network_are_refused():
    call = Call("RoiAlign", "node", 16, {}, (True,))
    with pytest.raises(ValueError, match="sampling_ratio"):
        find("", "RoiAlign")(call, jnp.zeros((1, 1, 4, 4)), jnp.zeros((1, 4)), jnp.zeros(1, int))


def test_maxima_of_regions_agree():
    rois = np.concatenate([np.array([[0], [1], [1], [0]], np.float32), np.abs(ROIS)], 1)
    compare("MaxRoiPool", [normal(2, 3, 10, 12), rois], pooled_shape=[3, 2], spatial_scale=0.5)


def test_normalisations_agree():
    x, c = normal(2, 6, 4, 5), [np.abs(normal(6, seed=seed)) for seed in range(4)]
    compare("BatchNormalization", [x, *c], opset=15, epsilon=1e-3)
    compare("InstanceNormalization", [x, *c[:2]])
    compare("LayerNormalization", [x, normal(4, 5), normal(5)], outputs=3, axis=-2, tolerance=1e-5)
    # The reference looks at as many channels as there are examples; onnxruntime takes odd sizes only.
    compare("LRN", [normal(6, 6, 4, 5)], size=4, alpha=0.3, beta=0.6, bias=2.0, runtime=False)
    compare("LRN", [x], size=3, alpha=0.3, beta=0.6, bias=2.0)
    compare("MeanVarianceNormalization", [x], axes=[0, 3], runtime=False)
    compare("RMSNormalization", [x, normal(5)], opset=23, runtime=False)
    for p in (1, 2):
        compare("LpNormalization", [x], opset=17, p=p, axis=3)


def test_a_norm_of_zero_divides_nothing():
    def normalised(x):
        return find("", "LpNormalization")(Call("LpNormalization", "node", 22, {}, (True,)), x)

    assert not normalised(jnp.zeros((2, 3))).any()
    assert jnp.isfinite(jax.grad(lambda x: normalised(x).sum())(jnp.zeros((2, 3)))).all()


@pytest.mark.parametrize(("opset", "size"), [(18, 3), (21, 6)])
def test_scales_of_groups_before_opset_21_and_of_channels_since(opset, size):
    inputs = [normal(2, 6, 4), normal(size), normal(size, seed=1)]
    compare("GroupNormalization", inputs, opset=opset, num_groups=3, runtime=False)


def test_statistics_of_half_precision_are_gathered_in_float32():
    x = (300 + normal(2, 6, 40)).astype(np.float16)
    compare("LayerNormalization", [x, np.ones(40, np.float16)], tolerance=2e-3)


def test_training_mode_is_refused():
    values = [jnp.ones((1, 1))] + [jnp.ones(1)] * 4
    for attributes, outputs in (({"training_mode": 1}, (True,)), ({}, (True, True, False))):
        with pytest.raises(ValueError, match="training mode"):
            find("", "BatchNormalization")(Call("BatchNormalization", "n", 14, attributes, outputs), *values)


def test_weights_that_do_not_fit_are_refused_by_name():
    with pytest.raises(ValueError, match=r"'stem'.*\[1, 3, 4, 4\].*\[2, 4, 1, 1\]"):
        find("", "Conv")(Call("Conv", "stem", 11, {}, (True,)), np.ones((1, 3, 4, 4)), np.ones((2, 4, 1, 1)))


def test_products_agree():
    a, b = normal(4, 3), normal(4, 5)
    compare("MatMul", [normal(2, 1, 4, 3), normal(3, 3, 5)])
    compare("Gemm", [a, b, normal(1, 5)], transA=1, alpha=0.5, beta=-2.0)
    compare("Gemm", [a, b.T[:3].copy()], transB=0, alpha=0.5)
    compare("FusedMatMul", [normal(2, 4, 3), normal(2, 5, 3)], domain="com.microsoft", transB=1, alpha=0.3)
    compare("Einsum", [normal(2, 3, 4), normal(2, 4, 3)], equation="...ij, ...ji -> ...i")
    compare("Einsum", [normal(2, 3), normal(3, 4)], equation="Bi,ia", runtime=False, grads=False)
    compare("Det", [normal(2, 3, 3)], runtime=False)
    integers = [np.arange(8, dtype=np.int32).reshape(2, 4), np.ones((4, 3), np.int32), np.ones(3, np.int32)]
    compare("Gemm", integers, alpha=3.0, runtime=False, tolerance=0)


def test_integer_products_have_zero_points_of_rows_and_columns():
    a, b = np.arange(200, 212, dtype=np.uint8).reshape(3, 4), np.arange(-8, 0, dtype=np.int8).reshape(4, 2)
    zeros = [np.array([255, 0, 9], np.uint8), np.array([3, -8], np.int8)]
    (actual,) = [find("", "MatMulInteger")(Call("MatMulInteger", "n", 10, {}, (True,)), a, b, *zeros)]
    expected = (a.astype(int) - zeros[0][:, None].astype(int)) @ (b.astype(int) - zeros[1].astype(int))
    assert actual.dtype == jnp.int32
    np.testing.assert_array_equal(actual, expected)
