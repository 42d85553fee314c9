"""The systems on a bounded number of pictures, each from its command line to its result."""

import json
import os

import numpy as np
import pytest

from experiments.imagenet import gathering, prune, sample, stitch, subspace, transfer
from experiments.imagenet.networks import alike, take
from experiments.imagenet.options import parse
from jaxevo import data

for package in ("grain", "tensorboardX"):
    pytest.importorskip(package)

#: Each of these compiles the whole of a system: too long for every run of all tests.
whole = pytest.mark.skipif("JAXEVO_SLOW_TESTS" not in os.environ, reason="slow; set JAXEVO_SLOW_TESTS to run it")

COUNTS = ("--train", "60", "--valid", "40", "--test", "40")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Digits with three channels, as ready arrays."""
    path, digits = tmp_path_factory.mktemp("systems"), data.load("digits")
    arrays = {}
    for name in gathering.PARTS:
        split = getattr(digits, name)
        arrays |= {f"{name}_inputs": np.repeat(split.inputs, 3, axis=-1), f"{name}_labels": split.labels}
    np.savez(path / "digits.npz", classes=np.array(digits.classes), **arrays)
    return path


def ended(program, folder, name, *arguments):
    """Runs a program to its end, and returns its result and its log."""
    asked = ["--data", f"npz:{folder / 'digits.npz'}", *COUNTS, "--batch", "20", "--out", str(folder / name)]
    program.main([*asked, *arguments])
    found = json.loads((folder / name / "result.json").read_text())
    log = [json.loads(line) for line in (folder / name / "log.jsonl").read_text().splitlines()]
    assert list((folder / name / "tensorboard").glob("events*"))
    return found, log


@whole
def test_two_networks_are_stitched_and_searched(folder):
    found, log = ended(
        stitch, folder, "stitch", "--network", "flax:vgg_8px", "--network", "flax:resnet_8px",
        "--most", "2", "--population", "4", "--budget", "6", "--generations", "3",
    )  # fmt: skip
    assert [entry["name"].split("[")[0] for entry in found["parents"]] == ["vgg_8px", "resnet_8px"]
    assert {line["event"] for line in log} == {"nsga2", "random search", "end"}
    assert found["searches"]["nsga2"]["distinct_evaluations"] <= 6


@whole
def test_children_vote(folder):
    found, log = ended(
        subspace, folder, "subspace", "--network", "flax:vgg_8px", "--population", "6", "--members", "3",
        "--subspaces", "2", "--sigma", "0.3",
    )  # fmt: skip
    assert set(found["scores"]) == {"parent", "best child", "greedy ensemble"}
    assert found["scores"]["greedy ensemble"]["valid"]["nll"] <= found["scores"]["parent"]["valid"]["nll"]
    assert log[0]["event"] == "search"
    assert log[0]["best -nll"] == pytest.approx(-found["scores"]["best child"]["valid"]["nll"], rel=1e-4)


@whole
def test_heads_on_features_are_pruned(folder):
    arguments = ("--network", "flax:vgg_8px", "--hidden", "16", "--epochs", "2", "--population", "4")
    found, log = ended(prune, folder, "prune", *arguments, "--offspring", "2", "--generations", "2")
    assert found["learned"] == 9
    for entry in found["front"]:
        assert set(entry["test"]) == set(prune.OBJECTIVES)
        assert -1 <= entry["test"]["-active_share"] < 0
    assert [line["step"] for line in log if line["event"] == "search"] == [1, 2]


@whole
def test_a_student_begins_with_a_teachers_weights(folder):
    arguments = ("--network", "flax:vgg_8px", "--student", "flax:vgg_8px", "--epochs", "1")
    found, log = ended(transfer, folder, "transfer", *arguments)
    assert found["similarity"] == pytest.approx(1)
    assert set(found["scores"]) == {"teacher", "random beginning", "transfer"}
    assert [line["step"] for line in log if "loss" in line] == [1, 1]


def test_splits_of_a_set_with_one_split_are_disjoint_and_always_the_same(tmp_path):
    sample.write_folders(tmp_path, sample.pictures(20), sorted(set(sample.NEAREST.values())))
    asked = ["--network", "none", "--data", f"folder:{tmp_path}", "--train", "8", "--valid", "6", "--test", "6"]
    options = parse("stitch", "", asked, lambda parser: gathering.add_counts(parser, 1, 1, 1))
    splits = gathering.choose(options)
    names = [{one.name for one in part} for part in splits.parts.values()]
    assert [len(part) for part in names] == [8, 6, 6]
    assert len(set.union(*names)) == 20
    assert gathering.choose(options).fingerprint == splits.fingerprint
    options.train = 9
    with pytest.raises(SystemExit, match=r"are 21 pictures, but .* has 20"):
        gathering.choose(options)


def test_networks_that_normalise_differently_read_the_same_pictures(folder):
    options = parse("stitch", "", ["--network", "none", "--data", "none", "--size", "8"])
    one, other = (take("flax:vgg_8px", options, [str(i) for i in range(10)]) for _ in range(2))
    recipe = other.recipe.__class__(
        8, one.recipe.resize, "bilinear", data.IMAGENET.__class__("HWC", (127.0,), (128.0,))
    )
    (first, second), shared = alike([one, other._replace(recipe=recipe)])
    picture = sample.pictures(1)[0].encoded
    inputs = data.prepare(shared, picture)[None]
    np.testing.assert_allclose(second(inputs), other.network(data.prepare(recipe, picture)[None]), rtol=1e-4, atol=1e-5)
    assert first is one.network
    with pytest.raises(SystemExit, match="bring them to one way with --size"):
        alike([one, other._replace(recipe=recipe.__class__(8, 12))])
