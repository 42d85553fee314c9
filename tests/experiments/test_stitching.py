"""The stitching experiment: continued, what it writes, and what it never looks at."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

from experiments.folder import RunFolder, claim
from experiments.stitching.__main__ import main
from experiments.stitching.pipeline import run
from jaxevo import checkpoint, data
from tests.experiments import tiny
from tests.faults import ends


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    path = tmp_path_factory.mktemp("stitching") / "run"
    tiny.go(path, resume=False)
    return path


@pytest.fixture(scope="module")
def result(undisturbed):
    return json.loads((undisturbed / "result.json").read_text())


@pytest.fixture(scope="module")
def continued(undisturbed, tmp_path_factory):
    """What a run ends with that had trained its parents for one epoch, and is not given the test split."""

    class Poisoned:
        def __getattribute__(self, name):
            raise AssertionError(f"the test split was asked for its {name}")

    path = tmp_path_factory.mktemp("continued") / "run"
    for name in ("parent-0", "parent-1"):
        shutil.copytree(undisturbed / name, path / name)
        shutil.rmtree(path / name / "step_00000002")
    dataset = dataclasses.replace(data.load(tiny.SETTINGS.data), test=Poisoned())
    return ends.arrays(tiny.found(run(tiny.SETTINGS, dataset, tiny.SEED, RunFolder(path))))


def test_parents_continued_after_an_epoch_end_with_the_same_bits(undisturbed, continued):
    with np.load(undisturbed / "end.npz") as end:
        names = [name for name in end.files if name.startswith("['parents']")]
        assert names
        for name in names:
            np.testing.assert_array_equal(continued[name], end[name], err_msg=name)


def test_nothing_before_the_report_sees_the_test_split(undisturbed, continued):
    with np.load(undisturbed / "end.npz") as end:
        assert set(end.files) == set(continued)
        for name in end.files:
            np.testing.assert_array_equal(continued[name], end[name], err_msg=name)


def test_the_result_holds_what_it_should(result):
    for name in ("seed", "data", "settings", "searches", "retrained", "versions"):
        assert result[name], name
    networks = [*result["parents"], *result["ensembles"], *result["front"]]
    assert (len(result["parents"]), len(result["ensembles"])) == (2, len(tiny.SETTINGS.votes))
    for network in networks:
        assert network["name"]
        assert network["genome"]
        assert all(0 <= network[split] <= 1 for split in ("valid", "test"))
        assert all(network[name] > 0 for name in ("macs", "parameters", "latency_ms"))
    searches = ["nsga2", "gomea tree", "surrogate", "random search"]
    assert set(result["hypervolume"]) == {
        "parents", *searches, "parents, retrained too", "front, retrained too", "reference"
    }  # fmt: skip
    assert set(result["seconds"]) == {
        *result["searches"],
        "parents",
        "stitches",
        "report",
        "retraining",
        "export",
        "latency",
    }
    assert list(result["fronts"]) == list(result["searches"]) == searches
    distinct = [result["searches"][name]["distinct_evaluations"] for name in searches]
    assert all(count <= distinct[0] for count in distinct)
    assert len(result["retrained"]["front"]) == len(result["front"])


def test_the_front_is_not_dominated_on_valid_and_every_network_on_it_is_another(result):
    points = [(network["valid"], -network["macs"]) for network in result["front"]]
    assert len(set(points)) == len(points)
    for a in points:
        assert not any(b != a and b[0] >= a[0] and b[1] >= a[1] for b in points)


def test_pictures_and_the_best_offspring_lie_in_the_folder(undisturbed, result):
    for name in ("front.png", "networks.png"):
        assert (undisturbed / name).read_bytes().startswith(b"\x89PNG")
    params, metadata = checkpoint.read(undisturbed / "best")
    assert metadata == result["best"]
    assert metadata["stitches"] >= 1
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) >= metadata["parameters"]


def test_the_front_lies_in_the_folder_as_files_that_onnxruntime_runs_alike(undisturbed, result):
    files = [network["onnx"] for network in result["front"]]
    assert sorted(files) == sorted(path.name for path in (undisturbed / "onnx").iterdir())
    assert all(0 <= network["onnx_difference"] <= 1e-5 for network in result["front"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parents", "efficientnet-lite0"], "names efficientnet-lite0 alone, expected at least two"),
        (["--parents", "efficientnet-lite0", "efficientnet-lite1"], "pretrained parents have 'small'"),
        (["--data", "digist"], "did you mean 'digits'"),
        (["--data", "photos:size=big"], "setting size of photos is 'big'"),
        (["--data", "npz:nowhere.npz"], "npz:nowhere.npz names no file"),
    ],
)
def test_data_that_is_not_there_ends_with_one_line(monkeypatch, tmp_path, arguments, message):
    monkeypatch.setattr("sys.argv", ["stitching", *arguments, "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match=message) as end:
        main()
    assert len(str(end.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_run_of_other_settings_is_not_continued(undisturbed):
    settings = {**dataclasses.asdict(tiny.SETTINGS), "seed": tiny.SEED + 1}
    with pytest.raises(SystemExit, match="seed: 1 there, 2 here"), claim(undisturbed, settings, resume=True):
        pass
