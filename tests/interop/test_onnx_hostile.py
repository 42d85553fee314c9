"""Files that were made to harm, or are damaged: each is refused at once, and nothing of it is run or written."""

import importlib.util
import io
import os
import pathlib
import pickle
import resource
import time
import zipfile

import numpy as np
import pytest

from jaxevo.interop import from_onnx, load_state
from tests.interop.test_onnx import model, node, residual

onnx = pytest.importorskip("onnx")
# Brought in here, so that its memory and its seconds are not those of a test.
torch = importlib.import_module("torch") if importlib.util.find_spec("torch") else None


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture(autouse=True)
def _quick_and_flat():
    """Holds every test of this file to seconds of work, where an attack would take hours, and to flat memory."""
    from_onnx(model([node("Relu", ["x"], ["y"])], {"x": ["n", 3]}, {"y": ["n", 3]}))
    seconds, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - seconds < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 300_000


def external(location, offset=None, length=None):
    """A model whose weights claim to lie in another file."""
    proto = model([node("MatMul", ["x", "w"], ["y"])], {"x": ["n", 3]}, {"y": ["n", 2]}, {"w": np.zeros((3, 2), "f4")})
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    return proto.SerializeToString()


@pytest.mark.parametrize("location", ["../1.bin", "{outside}", "link", "inner/../../1.bin", "", ".", "absent"])
def test_data_outside_of_the_folder_of_the_model_are_not_read(tmp_path, location):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "1.bin").write_bytes(bytes(24))
    (folder / "link").symlink_to(tmp_path / "1.bin")
    (folder / "m.onnx").write_bytes(external(location.format(outside=tmp_path / "1.bin")))
    with pytest.raises(ValueError, match="from_onnx: tensor 'w'"):
        from_onnx(folder / "m.onnx")


@pytest.mark.parametrize(("offset", "length"), [(-1, 24), (4, 24), (0, 2**40), (0, 8), ("no", 24)])
def test_data_that_do_not_fit_the_file_beside_the_model_are_refused(tmp_path, offset, length):
    (tmp_path / "w.bin").write_bytes(bytes(24))
    (tmp_path / "m.onnx").write_bytes(external("w.bin", offset, length))
    with pytest.raises(ValueError, match="from_onnx: tensor 'w'"):
        from_onnx(tmp_path / "m.onnx")


def test_bytes_alone_have_no_folder_to_read_from():
    with pytest.raises(ValueError, match="pass the path of the model"):
        from_onnx(external("w.bin"))


def test_cut_files_are_refused_wherever_they_are_cut(tmp_path):
    whole = residual().SerializeToString()
    path = tmp_path / "cut.onnx"
    for share in (0.0, 0.1, 0.5, 0.9, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match="from_onnx"):
            from_onnx(path)


def test_files_of_another_kind_are_refused(tmp_path):
    for data in (b"", b"\x80\x04\x95 not a model", b"PK\x03\x04" + bytes(100), b"{}", bytes(1000)):
        with pytest.raises(ValueError, match="from_onnx"):
            from_onnx(data)
    with pytest.raises(FileNotFoundError, match="no file lies at"):
        from_onnx(tmp_path / "absent.onnx")
    with pytest.raises(TypeError, match="expected a path"):
        from_onnx(7)


@pytest.mark.parametrize("dims", [(2**20, 2**20), (2**62, 2**62), (0, 2**62, 2**62), (-3, 2), (3, 3)])
def test_a_tensor_that_claims_other_than_it_holds_is_refused(dims):
    proto = model([node("MatMul", ["x", "w"], ["y"])], {"x": ["n", 3]}, {"y": ["n", 2]}, {"w": np.zeros((3, 2), "f4")})
    proto.graph.initializer[0].dims[:] = dims
    with pytest.raises(ValueError, match="from_onnx: tensor 'w'"):
        from_onnx(proto)


def grown(operator, extra, **attributes):
    tensors = {"big": np.array([2**20, 2**20]), "one": np.ones((1, 1), "i4"), "zero": np.int64(0)}
    tensors |= {"last": np.int64(2**40), "step": np.int64(1)}
    nodes = [node(operator, extra, ["g"], **attributes), node("Size", ["g"], ["s"]), node("Cast", ["g"], ["f"], to=1)]
    nodes += [node("ReduceSum", ["f"], ["t"], keepdims=0), node("Add", ["x", "t"], ["y"])]
    return model(nodes, {"x": ["n", 3]}, {"y": ["n", 3]}, tensors)


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [
        ("ConstantOfShape", ["big"]),
        ("Expand", ["one", "big"]),
        ("Tile", ["one", "big"]),
        ("Range", ["zero", "last", "step"]),
    ],
)
def test_constants_that_would_grow_without_bound_are_refused(operator, inputs):
    with pytest.raises(ValueError, match=operator):
        from_onnx(grown(operator, inputs))


def test_constants_that_double_step_by_step_are_refused():
    nodes = [node("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], axis=0) for i in range(40)]
    nodes += [node("Cast", ["c40"], ["d"], to=1), node("ReduceSum", ["d"], ["t"], keepdims=0)]
    nodes += [node("Add", ["x", "t"], ["y"])]
    proto = model(nodes, {"x": ["n", 3]}, {"y": ["n", 3]}, {"c0": np.ones((1, 4), np.int32)})
    with pytest.raises(ValueError, match="check where the file comes from"):
        from_onnx(proto)


def test_a_graph_with_a_circle_is_refused():
    nodes = [node("Add", ["x", "b"], ["a"], name="one"), node("Relu", ["a"], ["b"], name="two")]
    with pytest.raises(ValueError, match=r"'one'.*circle"):
        from_onnx(model(nodes, {"x": ["n", 3]}, {"b": ["n", 3]}))


def test_values_that_nothing_gives_or_that_are_given_twice_are_refused():
    with pytest.raises(ValueError, match="reads 'w', which no node"):
        from_onnx(model([node("Add", ["x", "w"], ["y"])], {"x": ["n", 3]}, {"y": ["n", 3]}))
    with pytest.raises(ValueError, match="'y' is given twice"):
        from_onnx(model([node("Relu", ["x"], ["y"])] * 2, {"x": ["n", 3]}, {"y": ["n", 3]}))
    with pytest.raises(ValueError, match="no node gives the output 'z'"):
        from_onnx(model([node("Relu", ["x"], ["y"])], {"x": ["n", 3]}, {"z": ["n", 3]}))


def test_functions_that_call_themselves_or_each_other_without_end_are_refused():
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("own", 1)]

    def function(name, nodes):
        return onnx.helper.make_function("own", name, ["u"], ["v"], nodes, opsets)

    def calls(*names):
        values = ["u", *(f"m{i}" for i in range(len(names) - 1)), "v"]
        return [node(n, [values[i]], [values[i + 1]], domain="own") for i, n in enumerate(names)]

    circle = [function("a", calls("b")), function("b", calls("a"))]
    tower = [function(f"f{i}", calls(*[f"f{i + 1}"] * 10)) for i in range(9)] + [
        function("f9", [node("Relu", ["u"], ["v"])])
    ]
    chain = [function(f"f{i}", calls(f"f{i + 1}")) for i in range(600)] + [
        function("f600", [node("Relu", ["u"], ["v"])])
    ]
    refused = (circle, "a", "calls itself"), (tower, "f0", "more than 25000 nodes"), (chain, "f0", "more than 64 deep")
    for functions, first, words in refused:
        proto = model([node(first, ["x"], ["y"], domain="own")], {"x": ["n", 3]}, {"y": ["n", 3]}, functions=functions)
        with pytest.raises(ValueError, match=words):
            from_onnx(proto)


def test_loops_inside_loops_are_refused_before_their_steps_multiply():
    def value(name, kind):
        return onnx.helper.make_tensor_value_info(name, kind, None)

    step = node("Relu", ["s"], ["t"])
    for depth in range(6):
        names = [(name, f"{name}{depth}") for name in ("i", "go")]
        inputs = [value(names[0][1], 7), value(names[1][1], 9), value("s", 1)]
        nodes = [node("Identity", [names[1][1]], [f"still{depth}"]), step]
        body = onnx.helper.make_graph(nodes, f"body{depth}", inputs, [value(f"still{depth}", 9), value("t", 1)])
        step = node("Loop", ["trips", "", "s" if depth < 5 else "x"], ["t" if depth < 5 else "y"], body=body)
    proto = model([step], {"x": ["n", 3]}, {"y": ["n", 3]}, {"trips": np.int64(64)})
    with pytest.raises(ValueError, match="more than 256 steps"):
        from_onnx(proto)


def test_a_decided_branch_that_is_no_graph_is_refused():
    proto = model(
        [node("If", ["yes"], ["y"], then_branch=3)], {"x": ["n", 3]}, {"y": ["n", 3]}, {"yes": np.array(True)}
    )
    with pytest.raises(ValueError, match="no graph 'then_branch'"):
        from_onnx(proto)


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [("HannWindow", ["last"]), ("HammingWindow", ["last"]), ("MelWeightMatrix", ["last", "last", "step", "f", "f"])],
)
def test_windows_without_bound_are_refused(operator, inputs):
    tensors = {"last": np.int64(2**40), "step": np.int64(1), "f": np.float32(1)}
    nodes = [node(operator, inputs, ["g"]), node("ReduceSum", ["g"], ["t"], keepdims=0), node("Add", ["x", "t"], ["y"])]
    with pytest.raises(ValueError, match="check where the file comes from"):
        from_onnx(model(nodes, {"x": ["n", 3]}, {"y": ["n", 3]}, tensors))


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes"),
    [
        ("Concat", ["half"] * 12, {"axis": 0}),
        ("Einsum", ["row"] * 3, {"equation": "a,b,c->abc"}),
        ("CenterCropPad", ["row", "wide"], {}),
        ("DFT", ["signal", "length", "one"], {}),
        ("GatherND", ["matrix", "places"], {}),
        ("AffineGrid", ["theta", "sizes"], {}),
        ("Resize", ["picture", "", "", "sizes"], {"mode": "linear"}),
    ],
)
def test_results_that_are_far_larger_than_what_they_are_made_of_are_refused(operator, inputs, attributes):
    tensors = {"row": np.ones(700, "i4"), "wide": np.array([3 * 10**8]), "size": np.array([2**24])}
    tensors |= {"numbers": np.ones((1, 4, 1), "i4"), "length": np.int64(2**40), "one": np.int64(1)}
    tensors |= {"table": np.array([1, 9000]), "column": np.array([9000, 1]), "zero": np.zeros((1, 1), np.int64)}
    tensors |= {"theta": np.ones((1, 2, 3), "f4"), "sizes": np.array([1, 1, 4, 10**8])}
    tensors |= {"picture": np.ones((1, 1, 4, 4), "f4")}
    nodes = [node("ConstantOfShape", ["size"], ["half"]), node("Cast", ["numbers"], ["signal"], to=1)]
    nodes += [node("ConstantOfShape", ["table"], ["matrix"]), node("Expand", ["zero", "column"], ["places"])]
    nodes += [node(operator, inputs, ["g"], **attributes)]
    nodes += [node("Cast", ["g"], ["f"], to=1), node("ReduceSum", ["f"], ["t"], keepdims=0)]
    nodes += [node("Add", ["x", "t"], ["y"])]
    with pytest.raises(ValueError, match=f"{operator}.*check where the file comes from"):
        from_onnx(model(nodes, {"x": ["n", 3]}, {"y": ["n", 3]}, tensors, opset=20))


def test_a_resize_of_the_input_is_held_to_the_same_bound():
    nodes = [node("Resize", ["x", "", "", "sizes"], ["y"], mode="nearest")]
    with pytest.raises(ValueError, match="check where the file comes from"):
        from_onnx(model(nodes, {"x": ["n", 1, 4, 4]}, {"y": ["n", 1, 4, 4]}, {"sizes": np.array([1, 1, 4, 10**8])}))


def test_a_split_into_more_outputs_than_it_has_is_refused():
    nodes = [node("Split", ["x"], ["y"], num_outputs=30_000_000, axis=1)]
    with pytest.raises(ValueError, match="num_outputs is 30000000, but it has 1 outputs"):
        from_onnx(model(nodes, {"x": ["n", 3]}, {"y": ["n", 3]}, opset=18))


def test_indices_of_a_sparse_tensor_outside_of_its_rows_are_refused():
    sparse = onnx.SparseTensorProto(dims=[3, 3])
    sparse.values.CopyFrom(onnx.numpy_helper.from_array(np.ones(1, "f4"), "w"))
    sparse.indices.CopyFrom(onnx.numpy_helper.from_array(np.array([[0, 7]]), "places"))
    proto = model([node("MatMul", ["x", "w"], ["y"])], {"x": ["n", 3]}, {"y": ["n", 3]})
    proto.graph.sparse_initializer.append(sparse)
    with pytest.raises(ValueError, match="sparse tensor 'w' has indices"):
        from_onnx(proto)


def test_a_table_of_two_long_vectors_is_refused():
    tensors = {"one": np.ones((1, 1), "i4"), "wide": np.array([1, 2**20]), "long": np.array([2**20])}
    tensors["zero"] = np.zeros(1, np.int64)
    nodes = [node("Expand", ["one", "wide"], ["row"]), node("Expand", ["zero", "long"], ["places"])]
    nodes += [node("Gather", ["row", "places"], ["g"], axis=0), node("Cast", ["g"], ["f"], to=1)]
    nodes += [node("ReduceSum", ["f"], ["t"], keepdims=0), node("Add", ["x", "t"], ["y"])]
    with pytest.raises(ValueError, match="Gather"):
        from_onnx(model(nodes, {"x": ["n", 3]}, {"y": ["n", 3]}, tensors))


@pytest.mark.parametrize("opset", [1, 6, 999])
def test_opsets_that_are_not_understood_are_refused(opset):
    proto = model([node("Relu", ["x"], ["y"])], {"x": ["n", 3]}, {"y": ["n", 3]}, opset=opset)
    with pytest.raises(ValueError, match=f"version {opset} of ONNX's operators, expected 7 to"):
        from_onnx(proto)


def test_a_file_without_an_opset_is_refused():
    proto = model([node("Relu", ["x"], ["y"])], {"x": ["n", 3]}, {"y": ["n", 3]})
    del proto.opset_import[:]
    with pytest.raises(ValueError, match="set opset_import"):
        from_onnx(proto)


def test_a_pickle_is_never_run(tmp_path):
    payload = pickle.dumps({"weight": Bomb(str(tmp_path / "made"))})
    (tmp_path / "raw.pth").write_bytes(payload)
    with zipfile.ZipFile(tmp_path / "zipped.pth", "w") as archive:
        archive.writestr("archive/data.pkl", payload)
        archive.writestr("archive/version", "3\n")
    for name in ("raw.pth", "zipped.pth"):
        if torch is not None:
            with pytest.raises(ValueError, match=r"load_state.*nothing of it was run"):
                load_state(tmp_path / name)
        with pytest.raises(ValueError, match="from_onnx"):
            from_onnx(tmp_path / name)
    assert not (tmp_path / "made").exists()


def test_damaged_safetensors_are_refused(tmp_path):
    header = b'{"w":{"dtype":"F32","shape":[1048576,1048576],"data_offsets":[0,4]}}'
    cases = {
        "long": (2**60).to_bytes(8, "little") + b"{}",
        "short": b"\x01",
        "text": (4).to_bytes(8, "little") + b"none",
        "claims": len(header).to_bytes(8, "little") + header + bytes(4),
        "list": (2).to_bytes(8, "little") + b"[]",
    }
    for name, data in cases.items():
        path = pathlib.Path(tmp_path / f"{name}.safetensors")
        path.write_bytes(data)
        with pytest.raises(ValueError, match="load_state"):
            load_state(path)


def test_nothing_is_written_beside_a_model(tmp_path):
    stream = io.BytesIO()
    onnx.save(residual(), stream)
    (tmp_path / "m.onnx").write_bytes(stream.getvalue())
    from_onnx(tmp_path / "m.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
