"""The transfer experiment: what it divides, what it calls a gain, and that it goes on where it stopped."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from experiments.folder import claim
from experiments.transfer.gains import gain, geometric_mean, ratio
from experiments.transfer.learning import Student, tuned
from experiments.transfer.methods import BASELINES, OURS
from experiments.transfer.pipeline import run
from experiments.transfer.presets import PRESETS, ZOO, Architecture
from experiments.transfer.reporting import report
from experiments.transfer.tasks import tasks
from experiments.transfer_similarity.statistics import Pairs, chosen_gain, pearson, spearman, warning_area
from jaxevo import data


def test_no_teacher_learns_from_a_students_picture():
    dataset = data.load("digits")
    teachers, students = tasks(dataset, 4)
    assert len(teachers.train) + len(students.train) == len(dataset.train)
    seen = {picture.tobytes() for picture in teachers.train.inputs}
    assert not any(picture.tobytes() in seen for picture in students.train.inputs)
    counts = np.bincount(students.train.labels)
    assert counts.max() - counts.min() <= 1


def test_every_pair_is_in_the_zoo_and_the_compared_ones_are_among_the_pairs():
    for settings in PRESETS.values():
        assert {name for pair in settings.pairs for name in pair} <= ZOO.keys()
        assert set(settings.compared) <= set(settings.pairs)
    assert len(PRESETS["small"].pairs) >= 12
    assert len(PRESETS["small"].compared) == len(PRESETS["quick"].pairs) == 4


def test_a_gain_is_the_ratio_of_the_best_accuracies_so_far_and_lies_in_its_interval():
    with_transfer, without = np.array([[0.4, 0.6, 0.5], [0.6, 0.7, 0.9]]), np.array([[0.2, 0.3, 0.4], [0.3, 0.2, 0.4]])
    assert ratio(with_transfer, without, 1) == pytest.approx(0.5 / 0.25)
    assert ratio(with_transfer, without, 3) == pytest.approx(0.75 / 0.4)
    found = gain(with_transfer, without, 1, examples=1000)
    assert found.low < found.value < found.high
    both = geometric_mean([(with_transfer, without), (without, with_transfer)], 3, examples=1000)
    assert both.value == pytest.approx(1)
    assert both.low < 1 < both.high


def test_the_figures_of_a_measure_are_those_of_its_definition():
    scipy = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    measure, noise = rng.random(30), rng.random(30)
    values = measure + noise
    assert spearman(measure, values) == pytest.approx(scipy.spearmanr(measure, values).statistic)
    assert pearson(measure, values) == pytest.approx(scipy.pearsonr(measure, values).statistic)
    assert warning_area(np.array([1.0, 2, 3, 4]), np.array([0.5, 2, 0.7, 3])) == pytest.approx(3 / 4)
    pairs = Pairs(("a", "b", "c"), ("s", "s", "s"), np.array([1.0, 4, 2]))
    assert chosen_gain(pairs, np.array([0, 1, 2])) == 0.5


def test_nothing_is_trained_where_there_is_one_optimiser_to_choose_from(monkeypatch):
    student = Student("resnet", data.load("digits"))
    monkeypatch.setattr(student, "learn", lambda *given: pytest.fail("trained"))
    found = tuned(student, jax.random.key(0), {"adamw": (3e-3,)}, epochs=4, batch=32)
    assert found == {"optimizer": "adamw", "rate": 3e-3, "trials": []}


def test_a_run_goes_on_where_it_stopped_and_reports_every_method(tmp_path, monkeypatch):
    monkeypatch.setitem(ZOO, "small", Architecture("vgg", {"widths": (4, 6), "depths": (1, 1), "normalise": False}))
    monkeypatch.setitem(ZOO, "wide", Architecture("vgg", {"widths": (6, 8), "depths": (1, 1), "normalise": False}))
    pairs = (("wide", "small"),)
    settings = dataclasses.replace(
        PRESETS["quick"],
        data="digits",
        pairs=pairs,
        compared=pairs,
        teacher_epochs=1,
        epochs=2,
        repeats=1,
        optimizers={"adamw": (1e-3, 3e-3)},
    )
    dataset = data.load(settings.data)
    with claim(tmp_path / "run", {"name": "tiny"}, False) as folder:
        first = run(settings, dataset, 0, folder)
        result = report(settings, dataset, 0, folder, first)
    curves = sorted((tmp_path / "run" / "students" / "small").glob("*.json"))
    assert len(curves) == 3 + len(BASELINES)
    curves[0].unlink()
    with claim(tmp_path / "run", {"name": "tiny"}, True) as folder:
        assert run(settings, dataset, 0, folder).curves == first.curves
    written = json.loads((tmp_path / "run" / "result.json").read_text())
    assert written["pairs"][0]["gains"].keys() == {OURS, *BASELINES}
    assert written["means"]["compared"].keys() == {OURS, *BASELINES}
    assert result["pairs"][0]["similarity"] == written["pairs"][0]["similarity"]
    for picture in ("curves.png", "gains.png", "alignments/wide-small.png"):
        assert (tmp_path / "run" / picture).stat().st_size > 0
