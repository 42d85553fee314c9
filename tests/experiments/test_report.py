import json

import jax
import pytest

from experiments.report import table, versions, write_json


def test_a_table_shows_every_cell_whole(capsys):
    table("networks", ("network", "macs (M)"), [("a" * 90, 1.25), ("b[0-1]>a[2]", 3)])
    shown = capsys.readouterr().out
    assert "networks" in shown
    assert all(text in shown for text in ("a" * 90, "b[0-1]>a[2]", "1.25", "3", "macs (M)"))


def test_json_is_written_whole_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"a": [1, 2]})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": [1, 2]}
    assert list(tmp_path.iterdir()) == [path]


def test_json_holds_null_for_what_other_programs_could_not_read(tmp_path):
    write_json(tmp_path / "result.json", {"accuracy": [float("nan"), float("inf"), 0.5]})
    assert json.loads((tmp_path / "result.json").read_text()) == {"accuracy": [None, None, 0.5]}


def test_versions_name_what_results_depend_on():
    found = versions()
    assert found["jax"] == jax.__version__
    assert {"python", "jaxevo", "jaxlib", "flax", "numpy", "device", "cores"} <= found.keys()
    assert all(isinstance(value, str) for value in found.values())
