"""The subspace experiment: what it chooses and on what, continued after a cut, and what it says of seeds."""

import argparse
import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
from scipy import stats

from experiments.folder import RunFolder
from experiments.parents import Parent
from experiments.subspace.__main__ import main
from experiments.subspace.pipeline import run
from experiments.subspace.presets import PRESETS, PRETRAINED, Evolution, Generation, Window
from experiments.subspace.reporting import report
from experiments.subspace.seeds import summary
from experiments.subspace.spaces import nll_of, said, take
from experiments.subspace.starting import settings_of
from experiments.subspace.window import critical, norm_of
from jaxevo import data, ensemble, subspace

SEED = 1

SETTINGS = dataclasses.replace(
    PRESETS["quick"],
    parent=Parent("vgg", {"widths": (8,), "depths": (1,)}, epochs=2, rate=1e-2),
    batch=100,
    window=Window((1, 16), (0.01, 0.1, 1.0, 10.0), children=4, examples=100),
    generation=Generation(16, "weight", (0.05, 0.2, 0.8), pilot=4, children=8, antithetic=True, members=4, best=2),
    evolution=Evolution(population=4, elite=2, generations=2, terms=2, examples=100),
)


class Poisoned:
    def __getattribute__(self, name):
        raise AssertionError(f"the test split was asked for its {name}")


@pytest.fixture(scope="module")
def dataset():
    return data.load(SETTINGS.data)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("subspace")


@pytest.fixture(scope="module")
def outcome(dataset, path):
    """What a run ends with that is not given the test split."""
    return run(SETTINGS, dataclasses.replace(dataset, test=Poisoned()), SEED, RunFolder(path))


@pytest.fixture(scope="module")
def result(outcome, dataset, path):
    report(SETTINGS, dataset, SEED, RunFolder(path), outcome)
    return json.loads((path / "result.json").read_text())


def test_other_test_labels_change_nothing_but_scores_on_test(result, outcome, dataset, tmp_path):
    poisoned = data.Split(dataset.test.inputs, (dataset.test.labels + 1) % 10)
    report(SETTINGS, dataclasses.replace(dataset, test=poisoned), SEED, RunFolder(tmp_path), outcome)
    other = json.loads((tmp_path / "result.json").read_text())
    assert other["parent"]["test"] != result["parent"]["test"]
    assert without_test(other) == without_test(result)


def without_test(content):
    if isinstance(content, dict):
        return {key: without_test(value) for key, value in content.items() if key not in ("test", "seconds")}
    return [without_test(value) for value in content] if isinstance(content, list) else content


def test_a_run_that_was_cut_anywhere_ends_with_the_same_bits(result, dataset, path, tmp_path):
    shutil.copytree(path, tmp_path / "cut")
    for name in ("window/16.json", "generation/dense-1.json", "result.json"):
        (tmp_path / "cut" / name).unlink()
    shutil.rmtree(tmp_path / "cut" / "evolution-sparse" / "step_00000002")
    again = RunFolder(tmp_path / "cut")
    report(SETTINGS, dataset, SEED, again, run(SETTINGS, dataset, SEED, again))
    for name in ("window/16.json", "generation/dense-1.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (path / name).read_bytes(), name
    continued = json.loads((tmp_path / "cut" / "result.json").read_text())
    assert {**continued, "seconds": 0} == {**result, "seconds": 0}


def test_the_greedy_ensemble_and_sigma_are_those_with_the_least_nll_on_valid(outcome, dataset, result):
    for kind, found in outcome.generations.items():
        assert found.sigma == min(found.grid, key=lambda row: row["greedy_nll"])["sigma"]
        spoken = said(found.space, found.genomes, dataset.valid)
        chosen = ensemble.greedy(spoken, dataset.valid.labels, SETTINGS.generation.members)
        assert found.greedy == chosen.tolist()
        np.testing.assert_array_equal(found.best, np.argsort(nll_of(spoken, dataset.valid.labels))[:2])
        vote = spoken[chosen].mean(axis=0)[None]
        assert result["generation"][kind]["greedy"]["valid"]["nll"] == pytest.approx(nll_of(vote, dataset.valid.labels))


def test_the_recombined_child_sums_up_the_mutations_of_the_best(outcome):
    found = outcome.generations["sparse"]
    best = take(found.genomes, found.best)
    parent = outcome.parent.params
    children = [found.space.decode(found.space.params, take(best, i)).params for i in range(len(found.best))]
    whole = found.space.decode(found.space.params, found.recombined).params
    wanted = jax.tree.map(lambda p, *c: p + found.strength * sum(one - p for one in c), parent, *children)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), whole, wanted)


def test_the_result_holds_what_it_should(result, path):
    for name in ("seed", "data", "settings", "versions"):
        assert result[name], name
    assert set(result["seconds"]) == {"parent", "window", "generation", "evolution", "report"}
    assert [curve["subspaces"] for curve in result["window"]["curves"]] == [1, 16]
    for kind in ("sparse", "dense"):
        entries = [result["generation"][kind][name] for name in ("best", "recombined", "greedy", "vote")]
        for entry in [result["parent"], result["evolution"][kind]["best"], *entries]:
            assert {"accuracy", "nll", "ece", "brier"} <= set(entry["test"])
        assert "disagreement" in result["generation"][kind]["vote"]["test"]
        assert result["tempered"]["valid"]["nll"] <= result["parent"]["valid"]["nll"] + 1e-6
        assert len(result["evolution"][kind]["nll"]) == SETTINGS.evolution.generations
    for name in ("window.png", "generation.png", "evolution.png"):
        assert (path / name).read_bytes().startswith(b"\x89PNG")


def test_a_part_of_a_partition_has_its_share_of_the_norm(outcome):
    key = jax.random.key(0)
    whole, part = (subspace.partition(outcome.parent, k, 1.0, scale="relative") for k in (1, 16))
    assert norm_of(whole, whole.sample(key, 16)) / norm_of(part, part.sample(key, 16)) == pytest.approx(4, rel=0.1)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("losses", "wanted"),
    [
        ([0.0, 0.0, 0.02, 0.5], 2.0),
        ([0.0, 0.03, 0.0, 0.04], 8.0),
        ([0.02, 0.03, 0.1, 0.2], None),
        ([0.0, 0.0, 0.0, 0.01], None),
    ],
    ids=["between two points", "the last crossing", "lost from the start", "never lost"],
)
def test_the_critical_sigma_is_the_largest_that_loses_a_point(losses, wanted):
    found = critical((0.5, 1.0, 4.0, 64.0), np.array(losses))
    assert found == (None if wanted is None else pytest.approx(wanted))


def entry(nll, accuracy):
    return {"test": {"nll": nll, "accuracy": accuracy}}


def seed_of(seed, parent, sparse, dense):
    kinds = {
        kind: {"sigma": 0.1, **dict.fromkeys(("best", "recombined", "greedy", "vote"), one)}
        for kind, one in (("sparse", sparse), ("dense", dense))
    }
    evolution = {kind: {"best": parent} for kind in kinds}
    window = {"ratios": {"16": 3.0}, "norm_ratios": {"16": 1.0}}
    return {
        "seed": seed,
        "parent": parent,
        "tempered": parent,
        "generation": kinds,
        "evolution": evolution,
        "window": window,
    }


@pytest.mark.smoke
def test_the_summary_pairs_seeds_and_knows_which_direction_is_better():
    seeds = [
        seed_of(0, entry(0.5, 0.80), entry(0.4, 0.82), entry(0.45, 0.81)),
        seed_of(1, entry(0.6, 0.78), entry(0.4, 0.77), entry(0.35, 0.77)),
        seed_of(2, entry(0.5, 0.80), entry(0.4, 0.83), entry(0.45, 0.81)),
    ]
    found = summary(seeds)["differences"]
    over_parent = found["greedy sparse - parent"]
    assert (over_parent["nll"]["better"], over_parent["accuracy"]["better"]) == (3, 2)
    low, high = stats.ttest_1samp([-0.1, -0.2, -0.1], 0).confidence_interval(0.95)
    np.testing.assert_allclose([over_parent["nll"]["low"], over_parent["nll"]["high"]], [low, high])
    assert found["greedy sparse - greedy dense"]["nll"]["better"] == 2
    assert summary(seeds[:1])["differences"]["greedy sparse - parent"]["nll"]["low"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "digist"], "did you mean 'digits'"),
        (["--preset", "paper"], "imagenet2012"),
        (["--parent", "resnet50"], "--preset paper"),
        (["--preset", "paper", "--parent", "efficientnet-lite0"], "'quick', 'small'"),
    ],
)
def test_what_is_not_there_ends_with_one_line(monkeypatch, tmp_path, arguments, message):
    monkeypatch.setattr("sys.argv", ["subspace", *arguments, "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match=message) as end:
        main()
    assert len(str(end.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_data_of_a_pretrained_parent_keep_the_settings_of_the_preset(monkeypatch):
    monkeypatch.setattr("experiments.pretrained.missing", lambda name: [])
    options = argparse.Namespace(preset="quick", parent="efficientnet-lite0", data="photos")
    assert settings_of(options).data == PRETRAINED["quick"].data
    options.data = "photos:size=64"
    assert settings_of(options).data == "photos:size=64"
