"""The pruning experiment: test labels reach nothing that is chosen; a cut run ends with the same bits."""

import argparse
import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

from experiments.folder import RunFolder
from experiments.parents import Parent
from experiments.pruning.pipeline import run
from experiments.pruning.presets import PRESETS, Search, Trained, Training
from experiments.pruning.reporting import best_within, report
from experiments.pruning.seeds import summary
from experiments.pruning.starting import published_front, settings_of, task_of
from jaxevo import data

SEED = 1

SETTINGS = dataclasses.replace(
    PRESETS["quick"],
    data="digits",
    held_out=4,
    other="digits",
    backbone=Trained(
        Parent("vgg", {"widths": (12,), "depths": (1,)}, epochs=1, rate=1e-2), "photos:size=8,per_class=6", 24
    ),
    size=8,
    hidden=(70,),
    training=Training(rate=0.05, momentum=0.9, batch=100, epochs=3, patience=1),
    search=Search(population=4, offspring=2, evaluations=12),
    references=2,
    bins=2,
)


def some(split, count=120, labels=None):
    return data.Split(split.inputs[:count], (split.labels if labels is None else labels)[:count])


@pytest.fixture(scope="module")
def dataset():
    whole = data.load("digits")
    return dataclasses.replace(whole, train=some(whole.train, 300), valid=some(whole.valid), test=some(whole.test))


def go(dataset, path):
    path.mkdir(exist_ok=True)
    task = task_of(SETTINGS, dataset, dataset)
    folder = RunFolder(path)
    outcome = run(SETTINGS, task, SEED, folder)
    report(SETTINGS, task, SEED, folder, outcome)
    return outcome, json.loads((path / "result.json").read_text())


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("pruning") / "run"


@pytest.fixture(scope="module")
def gone(dataset, path):
    return go(dataset, path)


def fronts(outcome):
    return {name: (found.front, found.history) for name, found in outcome.searches.items()}


def test_poisoned_test_labels_change_nothing_but_scores_on_test(gone, dataset, tmp_path):
    outcome, result = gone
    # Within the classes that heads learn, so that the same pictures are of the distribution.
    learned = dataset.test.labels < 6
    wrong = np.where(learned, (dataset.test.labels + 1) % 6, dataset.test.labels)
    poisoned, other = go(dataclasses.replace(dataset, test=some(dataset.test, labels=wrong)), tmp_path / "poisoned")
    jax.tree.map(np.testing.assert_array_equal, fronts(poisoned), fronts(outcome))
    assert other["front"][0]["test"]["accuracy"] != result["front"][0]["test"]["accuracy"]
    assert [entry["valid"] for entry in other["front"]] == [entry["valid"] for entry in result["front"]]


def test_early_stopping_sees_valid_alone(gone, dataset, tmp_path):
    outcome, _ = gone
    fit = outcome.evaluate.fit
    np.testing.assert_array_equal(fit.valid.labels, dataset.valid.labels[dataset.valid.labels < 6])
    assert len(fit.train.labels) == (dataset.train.labels < 6).sum()


def test_a_run_that_was_cut_anywhere_ends_with_the_same_bits(gone, dataset, path, tmp_path):
    outcome, result = gone
    shutil.copytree(path, tmp_path / "cut")
    (tmp_path / "cut" / "result.json").unlink()
    shutil.rmtree(tmp_path / "cut" / "random-search")
    shutil.rmtree(max((tmp_path / "cut" / "nsga2").glob("step_*")))
    shutil.rmtree(next((tmp_path / "cut" / "features").iterdir()))
    again, continued = go(dataset, tmp_path / "cut")
    jax.tree.map(np.testing.assert_array_equal, fronts(again), fronts(outcome))
    assert {**continued, "seconds": 0} == {**result, "seconds": 0}


def test_the_result_holds_valid_and_test_figures_of_all(gone, path):
    _, result = gone
    assert result["evaluations"] == {"nsga2": 12, "random search": 12}
    for entry in [*result["front"], *result["random"], *result["all_units"]["heads"]]:
        for which in ("valid", "test"):
            assert {"accuracy", "auroc", "auroc, held-out classes"} <= set(entry[which])
    assert [len(row["members"]) for row in result["ensembles"]]
    assert set(result["hypervolume"]["test"]) == {"nsga2", "random search"}
    assert all(0 <= value <= 1 for value in result["detectors"].values())
    for name in ("accuracy.png", "auroc.png"):
        assert (path / name).stat().st_size > 1000


def test_seeds_are_summed_up(gone):
    _, result = gone
    found = summary([result, result])
    assert len(found["rows"]) == 2
    gain = result["hypervolume"]["test"]["nsga2"] - result["hypervolume"]["test"]["random search"]
    assert found["means"]["hypervolume"]["mean"] == pytest.approx(gain)


def test_the_best_within_a_share_is_chosen_on_valid():
    rows = [{"active_share": share, "valid": {"accuracy": a}} for share, a in ((0.1, 0.5), (0.2, 0.7), (0.9, 0.9))]
    assert best_within(rows, 0.25) == 1
    assert best_within(rows, 0.05) is None


def test_a_published_front_is_read_or_refused(tmp_path):
    file = tmp_path / "front.csv"
    file.write_text("accuracy,active_share,auroc\n0.9,0.1,0.8\n0.8,0.05,0.7\n")
    np.testing.assert_array_equal(published_front(file), [[0.9, 0.1, 0.8], [0.8, 0.05, 0.7]])
    file.write_text("accuracy,auroc\n0.9,0.8\n")
    with pytest.raises(SystemExit, match="expected a CSV file with columns accuracy, active_share, auroc"):
        published_front(file)


def test_settings_follow_the_command_line():
    options = argparse.Namespace(preset="quick", backbone=None, data="digits")
    assert settings_of(options).data == "digits"
