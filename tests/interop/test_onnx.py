import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxevo
from jaxevo.interop import from_onnx
from jaxevo.interop.onnx import table

onnx = pytest.importorskip("onnx")
evaluation = pytest.importorskip("onnx.reference")

RNG = np.random.default_rng(0)
node = onnx.helper.make_node


def drawn(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def model(nodes, inputs, outputs, tensors=None, opset=17, functions=(), types=None):
    """Makes a model; inputs and outputs are name -> axes."""

    def value(name, axes):
        return onnx.helper.make_tensor_value_info(name, (types or {}).get(name, onnx.TensorProto.FLOAT), axes)

    graph = onnx.helper.make_graph(
        nodes,
        "net",
        [value(*item) for item in inputs.items()],
        [value(*item) for item in outputs.items()],
        [onnx.numpy_helper.from_array(np.asarray(a), name) for name, a in (tensors or {}).items()],
    )
    opsets = [onnx.helper.make_opsetid("", opset), onnx.helper.make_opsetid("own", 1)]
    return onnx.helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=9)


def residual(batch="batch"):
    """A residual block and a classifier, with what exporters write: a chain of shapes, a clip, a dropout."""
    tensors = {
        "conv1.weight": drawn(4, 3, 3, 3),
        "conv1.bias": drawn(4),
        "bn.weight": 1 + 0.1 * drawn(4),
        "bn.bias": drawn(4),
        "bn.mean": drawn(4),
        "bn.var": 1 + 0.1 * np.abs(drawn(4)),
        "conv2.weight": drawn(4, 4, 3, 3),
        "fc.weight": drawn(5, 4 * 64),
        "fc.bias": drawn(5),
        "low": np.float32(0),
        "high": np.float32(6),
        "first": np.int64(0),
        "axis": np.array([0]),
        "rest": np.array([-1]),
    }
    pads = {"pads": [1, 1, 1, 1]}
    nodes = [
        node("Conv", ["x", "conv1.weight", "conv1.bias"], ["a"], **pads),
        node("BatchNormalization", ["a", "bn.weight", "bn.bias", "bn.mean", "bn.var"], ["b"]),
        node("Clip", ["b", "low", "high"], ["c"]),
        node("Conv", ["c", "conv2.weight"], ["d"], **pads),
        node("Add", ["d", "c"], ["e"]),
        node("Dropout", ["e"], ["f"]),
        node("Shape", ["f"], ["shape"]),
        node("Gather", ["shape", "first"], ["n"]),
        node("Unsqueeze", ["n", "axis"], ["n1"]),
        node("Concat", ["n1", "rest"], ["target"], axis=0),
        node("Reshape", ["f", "target"], ["g"]),
        node("Gemm", ["g", "fc.weight", "fc.bias"], ["logits"], transB=1),
    ]
    return model(nodes, {"x": [batch, 3, 8, 8]}, {"logits": [batch, 5]}, tensors)


def reference(proto, **inputs):
    return evaluation.ReferenceEvaluator(proto).run(None, inputs)


def primitives(network, *examples):
    return {str(eqn.primitive) for eqn in jax.make_jaxpr(network.apply)(network.params, *examples).eqns}


@pytest.fixture(scope="module")
def network():
    return from_onnx(residual())


@pytest.mark.smoke
def test_a_file_gives_what_the_reference_gives_at_any_batch_size(network):
    for size in (1, 4):
        x = drawn(size, 3, 8, 8)
        np.testing.assert_allclose(network(x), reference(residual_of(network), x=x)[0], rtol=1e-4, atol=1e-4)


def residual_of(network):
    proto = residual()
    for tensor in proto.graph.initializer:
        if tensor.name in network.params:
            tensor.CopyFrom(onnx.numpy_helper.from_array(network.params[tensor.name], tensor.name))
    return proto


def test_parameters_are_what_is_learned_under_the_names_of_the_file(network):
    learned = {"conv1.weight", "conv1.bias", "bn.weight", "bn.bias", "bn.mean", "bn.var", "conv2.weight"}
    assert network.params.keys() == learned | {"fc.weight", "fc.bias"}
    assert network.inputs == jax.ShapeDtypeStruct((3, 8, 8), jnp.float32)
    assert network.name == "net"


def test_the_traced_graph_holds_only_what_depends_on_inputs_and_parameters(network):
    found = primitives(network, drawn(2, 3, 8, 8))
    assert not found & {"gather", "concatenate", "convert_element_type", "scatter", "iota"}
    assert jaxevo.trace(network).multiply_adds > 0


def test_gradients_reach_every_parameter(network):
    gradients = jax.grad(lambda p: (network.apply(p, drawn(2, 3, 8, 8)) ** 2).sum())(network.params)
    assert all(np.isfinite(g).all() and np.abs(g).max() > 0 for g in jax.tree.leaves(gradients))


def test_a_file_comes_in_by_path_by_bytes_and_as_a_message(tmp_path, network):
    proto = residual_of(network)
    onnx.save(proto, tmp_path / "block.onnx")
    x = drawn(2, 3, 8, 8)
    for source in (tmp_path / "block.onnx", str(tmp_path / "block.onnx"), proto.SerializeToString(), proto):
        np.testing.assert_array_equal(from_onnx(source)(x), network(x))
    assert from_onnx(tmp_path / "block.onnx").name == "block"


def test_tensors_beside_the_file_are_read_from_its_folder(tmp_path, network):
    onnx.save(residual_of(network), tmp_path / "a.onnx", save_as_external_data=True, size_threshold=0, location="a.bin")
    x = drawn(2, 3, 8, 8)
    np.testing.assert_array_equal(from_onnx(tmp_path / "a.onnx")(x), network(x))


def test_a_wrong_size_is_refused_by_the_network_and_by_its_function(network):
    wrong = drawn(2, 3, 8, 9)
    with pytest.raises(ValueError, match=r"\[2, 3, 8, 9\], expected \[B, 3, 8, 8\]"):
        network(wrong)
    with pytest.raises(ValueError, match=r"\[2, 3, 8, 9\], expected \[B, 3, 8, 8\]"):
        network.apply(network.params, wrong)


def test_a_file_for_one_example_runs_the_examples_of_a_batch_one_by_one():
    nodes = [node("Reshape", ["x", "one"], ["a"]), node("MatMul", ["a", "w"], ["y"])]
    proto = model(nodes, {"x": [1, 2, 3]}, {"y": [1, 4]}, {"one": np.array([1, 6]), "w": drawn(6, 4)})
    x = drawn(5, 2, 3)
    rows = [reference(proto, x=row[None])[0][0] for row in x]
    np.testing.assert_allclose(from_onnx(proto)(x), rows, rtol=1e-5, atol=1e-5)


def test_a_file_for_a_fixed_batch_of_several_is_refused():
    proto = model([node("Relu", ["x"], ["y"])], {"x": [4, 3]}, {"y": [4, 3]})
    with pytest.raises(ValueError, match=r"'x' has a leading axis of fixed length 4.*export the model with a dynamic"):
        from_onnx(proto)


def test_an_open_axis_must_be_given_and_holds_wherever_its_name_stands():
    nodes = [node("Add", ["x", "z"], ["y"])]
    proto = model(nodes, {"x": ["n", 3, "wide"], "z": ["n", 3, "wide"]}, {"y": ["n", 3, "wide"]})
    with pytest.raises(ValueError, match=re.escape("pass shapes={'x': (3, 64)}")):
        from_onnx(proto)
    network = from_onnx(proto, shapes={"x": (3, 7)})
    assert network.inputs["z"].shape == (3, 7)
    inputs = {"x": drawn(2, 3, 7), "z": drawn(2, 3, 7)}
    np.testing.assert_allclose(network(inputs), inputs["x"] + inputs["z"])
    for shapes in ({"x": (4, 7)}, {"x": (3,)}, {"w": (3, 7)}, {"x": (3, 7), "z": (3, 8)}):
        with pytest.raises(ValueError, match="shapes"):
            from_onnx(proto, shapes=shapes)


def test_a_file_that_loses_the_batch_axis_of_one_example_is_refused_there():
    nodes = [node("GlobalAveragePool", ["x"], ["p"]), node("Squeeze", ["p"], ["y"])]
    network = from_onnx(model(nodes, {"x": ["n", 3, 4, 4]}, {"y": None}))
    assert network(drawn(2, 3, 4, 4)).shape == (2, 3)
    with pytest.raises(ValueError, match=r"output 'y' has shape \[3\] for a batch of 1"):
        network(drawn(1, 3, 4, 4))


def test_axes_that_exporters_could_not_name_are_not_one_axis():
    proto = model([node("Relu", ["x"], ["y"])], {"x": ["None", 3, "None", "None"]}, {"y": ["None", 3, "None", "None"]})
    assert from_onnx(proto, shapes={"x": (3, 4, 5)})(drawn(2, 3, 4, 5)).shape == (2, 3, 4, 5)


def test_pictures_in_another_precision_than_the_weights_are_let_in():
    proto = model([node("Conv", ["x", "w"], ["y"])], {"x": ["n", 3, 4, 4]}, {"y": None}, {"w": drawn(2, 3, 1, 1)})
    half = from_onnx(proto)(drawn(2, 3, 4, 4).astype(np.float16))
    assert np.isfinite(np.asarray(half)).all()


def test_plain_exponents_are_formulas_and_odd_ones_are_learned():
    nodes = [node("Pow", ["x", "two"], ["s"]), node("Abs", ["x"], ["a"]), node("Pow", ["a", "p"], ["b"])]
    tensors = {"two": np.float32([2]), "p": np.float32([2.93])}
    nodes += [node("Add", ["s", "b"], ["y"])]
    assert from_onnx(model(nodes, {"x": ["n", 3]}, {"y": ["n", 3]}, tensors)).params.keys() == {"p"}


def test_several_outputs_are_a_dict_and_one_can_be_chosen():
    nodes = [node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["z"])]
    proto = model(nodes, {"x": ["n", 3]}, {"y": ["n", 3], "z": ["n", 3]})
    x = drawn(2, 3)
    assert from_onnx(proto)(x).keys() == {"y", "z"}
    np.testing.assert_array_equal(from_onnx(proto, outputs="z")(x), -x)
    assert from_onnx(proto, outputs=["z"])(x).keys() == {"z"}
    with pytest.raises(ValueError, match="outputs is 'w', expected one or several of 'y', 'z'"):
        from_onnx(proto, outputs="w")


def test_all_missing_operators_are_named_in_one_error():
    nodes = [node("Fancy", ["x"], ["a"], name="first", domain="own"), node("Bernoulli", ["a"], ["y"], name="second")]
    proto = model(nodes, {"x": ["n", 3]}, {"y": ["n", 3]})
    with pytest.raises(ValueError, match=r"2 operators.*Bernoulli \(node 'second'\).*Fancy of domain 'own'.*'first'"):
        from_onnx(proto)


def test_weights_in_constants_and_in_branches_are_parameters():
    branches = {}
    for name, factor in (("then", 2.0), ("else", 3.0)):
        weight = onnx.numpy_helper.from_array(np.full((3, 4), factor, np.float32), f"{name}.weight")
        out = onnx.helper.make_tensor_value_info(f"{name}_out", onnx.TensorProto.FLOAT, None)
        graph = onnx.helper.make_graph(
            [node("MatMul", ["a", f"{name}.weight"], [f"{name}_out"])], name, [], [out], [weight]
        )
        branches[f"{name}_branch"] = graph
    nodes = [
        node("Constant", [], ["scale"], value=onnx.numpy_helper.from_array(drawn(3))),
        node("Constant", [], ["epsilon"], value_float=1e-3),
        node("Mul", ["x", "scale"], ["m"]),
        node("Add", ["m", "epsilon"], ["a"]),
        node("Shape", ["x"], ["shape"]),
        node("Size", ["shape"], ["rank"]),
        node("Equal", ["rank", "three"], ["is_map"]),
        node("If", ["is_map"], ["y"], **branches),
    ]
    proto = model(nodes, {"x": ["n", 3]}, {"y": ["n", 4]}, {"three": np.int64(3)})
    network = from_onnx(proto)
    assert network.params.keys() >= {"scale", "else.weight"}
    assert "epsilon" not in network.params
    x = drawn(2, 3)
    np.testing.assert_allclose(network(x), reference(proto, x=x)[0], rtol=1e-5)


def test_functions_of_the_file_are_written_out_at_each_call():
    inner = [
        onnx.helper.make_node("Constant", [], ["slope"]),
        node("LeakyRelu", ["u"], ["v"]),
        node("Mul", ["v", "slope"], ["w"]),
    ]
    for target, source in ((inner[0], "factor"), (inner[1], "alpha")):
        kind = onnx.AttributeProto.FLOAT
        name = "value_float" if source == "factor" else "alpha"
        target.attribute.append(onnx.AttributeProto(name=name, ref_attr_name=source, type=kind))
    function = onnx.helper.make_function(
        "own", "Leaky", ["u"], ["w"], inner, [onnx.helper.make_opsetid("", 17)], ["factor", "alpha"]
    )
    nodes = [
        node("Leaky", ["x"], ["a"], domain="own", factor=2.0, alpha=0.5),
        node("Leaky", ["a"], ["y"], domain="own", factor=3.0, alpha=0.1),
    ]
    proto = model(nodes, {"x": ["n", 3]}, {"y": ["n", 3]}, functions=[function])
    x = np.array([[1.0, -1.0, 2.0]], np.float32)
    np.testing.assert_allclose(from_onnx(proto)(x), [[6.0, -0.3, 12.0]], rtol=1e-6)


@pytest.mark.parametrize("trips", [3, 100])
def test_loops_of_known_length_run_written_out_and_scanned(trips):
    body = onnx.helper.make_graph(
        [node("Identity", ["go"], ["still"]), node("Add", ["s", "x"], ["t"]), node("Mul", ["t", "half"], ["row"])],
        "body",
        [onnx.helper.make_tensor_value_info(name, kind, None) for name, kind in (("i", 7), ("go", 9), ("s", 1))],
        [onnx.helper.make_tensor_value_info(name, kind, None) for name, kind in (("still", 9), ("t", 1), ("row", 1))],
        [onnx.numpy_helper.from_array(np.float32(0.5), "half")],
    )
    nodes = [
        node("Loop", ["trips", "", "x"], ["last", "rows"], body=body),
        node("Transpose", ["rows"], ["y"], perm=[1, 0, 2]),
    ]
    proto = model(nodes, {"x": ["n", 3]}, {"y": ["n", trips, 3]}, {"trips": np.int64(trips)})
    x = drawn(2, 3)
    steps = np.arange(2, trips + 2)[None, :, None]
    np.testing.assert_allclose(from_onnx(proto)(x), 0.5 * steps * x[:, None], rtol=1e-4)


def test_softmax_before_opset_13_adds_up_over_all_axes_after_its_own():
    x = drawn(2, 3, 4)
    for opset, axes in ((11, (1, 2)), (13, (1,))):
        proto = model([node("Softmax", ["x"], ["y"], axis=1)], {"x": ["n", 3, 4]}, {"y": ["n", 3, 4]}, opset=opset)
        np.testing.assert_allclose(from_onnx(proto)(x).sum(axes), 1, rtol=1e-5)


def test_whole_numbers_go_in_as_tokens_and_floats_in_their_place_are_refused():
    proto = model(
        [node("Gather", ["table", "x"], ["y"])],
        {"x": ["n", 5]},
        {"y": ["n", 5, 4]},
        {"table": drawn(9, 4)},
        types={"x": onnx.TensorProto.INT64},
    )
    network = from_onnx(proto)
    tokens = RNG.integers(0, 9, (3, 5))
    np.testing.assert_array_equal(network(tokens), network.params["table"][tokens])
    with pytest.raises(TypeError, match="expected int32"):
        network(drawn(3, 5))


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [("Clip", ["x", "zero", "most"]), ("Min", ["x", "most"]), ("Max", ["x", "least"]), ("Clip", ["x", "zero", "six"])],
)
def test_bounds_of_64_bits_stay_bounds(operator, inputs):
    tensors = {"zero": np.int64(0), "six": np.int64(6), "most": np.iinfo(np.int64).max, "least": np.iinfo(np.int64).min}
    proto = model(
        [node(operator, inputs, ["y"])],
        {"x": ["n", 3]},
        {"y": ["n", 3]},
        {name: np.int64(tensors[name]) for name in inputs[1:]},
        types={"x": onnx.TensorProto.INT64, "y": onnx.TensorProto.INT64},
    )
    x = np.array([[-3, 1, 9], [5, -2, 7]])
    found = from_onnx(proto)(x)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, reference(proto, x=x)[0])


def test_whole_numbers_of_more_than_32_bits_are_refused():
    proto = model(
        [node("Neg", ["x"], ["y"])],
        {"x": ["n", 1]},
        {"y": ["n", 1]},
        types={"x": onnx.TensorProto.INT64, "y": onnx.TensorProto.INT64},
    )
    with pytest.raises(ValueError, match=r"whole numbers from -4 to 8589934597, expected .* int32"):
        from_onnx(proto)(np.array([[2**33 + 5], [-4]]))


def test_large_tensors_of_integers_travel_with_the_parameters():
    proto = model(
        [node("Cast", ["w"], ["f"], to=1), node("MatMul", ["x", "f"], ["y"])],
        {"x": ["n", 300]},
        {"y": ["n", 300]},
        {"w": RNG.integers(-99, 99, (300, 300)).astype(np.int8)},
    )
    network = from_onnx(proto)
    assert network.params["w"].dtype == np.int8
    jaxevo.trace(network)


def test_a_node_that_does_not_run_is_named_with_its_shapes():
    proto = model(
        [node("MatMul", ["x", "w"], ["y"], name="head")], {"x": ["n", 3]}, {"y": ["n", 2]}, {"w": drawn(4, 2)}
    )
    with pytest.raises(ValueError, match=r"^from_onnx: node 'head' \(MatMul\): .*\[3, 3\], \[4, 2\]"):
        from_onnx(proto)


def test_parameters_that_lack_one_are_refused(network):
    short = dataclasses.replace(network, params={k: v for k, v in network.params.items() if k != "fc.bias"})
    with pytest.raises(ValueError, match=r"lacks 'fc.bias'"):
        short(drawn(2, 3, 8, 8))


def test_the_table_holds_150_operators():
    assert len([name for domain, name in table.known() if not domain]) >= 150


def test_a_bound_that_takes_its_type_from_a_feature_leaves_the_weights_parameters():
    # As PyTorch 2.13 writes ReLU6: without the bound's type the feature, and all before it, would be a setting.
    nodes = [
        node("MatMul", ["x", "weight"], ["h"], "product"),
        node("CastLike", ["most", "h"], ["bound"], "type"),
        node("Clip", ["h", "", "bound"], ["y"], "clip"),
    ]
    tensors = {"weight": drawn(3, 4), "most": np.array(0.5, np.float32)}
    network = from_onnx(model(nodes, {"x": ["batch", 3]}, {"y": ["batch", 4]}, tensors))
    x = drawn(5, 3)
    assert set(network.params) == {"weight"}
    np.testing.assert_allclose(network(x), np.minimum(x @ tensors["weight"], 0.5), rtol=1e-5)
