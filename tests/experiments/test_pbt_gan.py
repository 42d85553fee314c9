"""The GAN experiment: a cut run ends with the same bits, test pictures choose nothing, and what it leaves behind."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

from experiments.folder import RunFolder
from experiments.parents import Parent
from experiments.pbt_gan.memoising import Memo, Memoised
from experiments.pbt_gan.pipeline import run
from experiments.pbt_gan.presets import PRESETS
from experiments.pbt_gan.reporting import report
from experiments.pbt_gan.seeds import summary
from experiments.pbt_gan.starting import load
from experiments.populations import Population
from jaxevo import data
from jaxevo.network import Member

SEED = 3
SETTINGS = dataclasses.replace(
    PRESETS["quick"],
    data="digits",
    sizes={"width": 2, "latents": 3},
    classifier=Parent("vgg", {"widths": (4,), "depths": (1,)}, epochs=1, rate=1e-2),
    methods=("PBT-NAS", "random search"),
    population=Population(3, fraction=0.34),
    steps=3,
    batch=30,
    samples=40,
    last=2,
)


@pytest.fixture(scope="module")
def dataset():
    whole = load(SETTINGS)
    return dataclasses.replace(
        whole, **{which: _some(getattr(whole, which), 60) for which in ("train", "valid", "test")}
    )  # fmt: skip


def _some(split, count):
    return data.Split(split.inputs[:count], split.labels[:count])


def go(dataset, path):
    path.mkdir(exist_ok=True)
    folder = RunFolder(path)
    outcome = run(SETTINGS, dataset, SEED, folder)
    return outcome, json.loads(json.dumps(report(SETTINGS, dataset, SEED, folder, outcome)))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("pbt_gan") / "run"


@pytest.fixture(scope="module")
def gone(dataset, path):
    return go(dataset, path)


def states(outcome):
    return {name: (found.state.genomes, found.state.fitness, found.history) for name, found in outcome.found.items()}


def test_pictures_are_of_one_size_and_between_minus_one_and_one(dataset):
    assert dataset.train.inputs.shape == (60, 16, 16, 1)
    assert -1 <= dataset.train.inputs.min() < -0.9
    assert 0.9 < dataset.train.inputs.max() <= 1


def test_members_learn_from_some_pictures_of_every_part_of_train():
    whole, some = (load(dataclasses.replace(SETTINGS, examples=count)) for count in (None, 50))
    rows = np.arange(50) * len(whole.train) // 50
    np.testing.assert_array_equal(some.train.inputs, whole.train.inputs[rows])
    np.testing.assert_array_equal(some.train.labels, whole.train.labels[rows])
    assert len(some.valid) == len(whole.valid)


def test_a_run_that_was_cut_ends_with_the_same_bits(gone, dataset, path, tmp_path):
    outcome, _ = gone
    cut = tmp_path / "cut"
    for place in ("classifier", "pbt-nas", "random-search"):
        shutil.copytree(path / place, cut / place)
    # That children come back the same is tested where they are begotten (tests/search/test_replacement.py).
    shutil.rmtree(cut / "random-search" / "step_00000003")
    resumed = run(SETTINGS, dataset, SEED, RunFolder(cut))
    jax.tree.map(np.testing.assert_array_equal, states(resumed), states(outcome))
    assert resumed.tests == outcome.tests


def test_other_test_pictures_change_nothing_but_distances_on_test(gone, dataset, path, tmp_path):
    outcome, _ = gone
    shutil.copytree(path / "classifier", tmp_path / "classifier")
    settings = dataclasses.replace(SETTINGS, methods=("random search",))
    other = run(settings, dataclasses.replace(dataset, test=dataset.valid), SEED, RunFolder(tmp_path))
    jax.tree.map(np.testing.assert_array_equal, states(other)["random search"], states(outcome)["random search"])
    assert other.tests["random search"] != outcome.tests["random search"]


class Counting:
    """An evaluation that adds to each member what its own key draws, and notes how many it was given."""

    def __init__(self):
        self.given = []

    def __call__(self, keys, params, members):
        self.given.append(len(keys))
        trained = members._replace(params=members.params + np.asarray(jax.vmap(jax.random.uniform)(keys))[:, None])
        return trained, trained.params[:, :1]


@pytest.mark.parametrize(("room", "given"), [(10_000, [3, 1]), (20, [3, 2]), (0, [3, 3])])
def test_a_member_that_two_methods_share_is_trained_once_where_there_is_room(room, given):
    counting, memo, key = Counting(), Memo(room), jax.random.key(SEED)
    first, second = (Memoised(counting, memo) for _ in range(2))
    members = Member(np.arange(3), np.ones((3, 2), np.float32), {}, None)
    first(key, None, members)
    # Another member takes the last place.
    other = members._replace(genome=np.array([0, 1, 7]))
    found, fitness = second(key, None, other)
    assert counting.given == given
    wanted, scores = counting(jax.vmap(jax.random.fold_in, (None, 0))(key, np.arange(3)), None, other)
    jax.tree.map(np.testing.assert_array_equal, (found, fitness), (wanted, scores))
    assert second.report() == {"trained": 3}
    # Another key is another training.
    second(jax.random.key(SEED + 1), None, other)
    assert counting.given[-1] == 3
    again = Memoised(counting, memo)
    again.restore(second.memory)
    assert again.report() == {"trained": 6}


def test_all_methods_begin_with_the_same_members_and_end_with_others(gone):
    outcome, result = gone
    first = {name: found.history[0]["scores"] for name, found in outcome.found.items()}
    assert first["PBT-NAS"] == first["random search"]
    assert result["methods"]["random search"]["members"] == SETTINGS.population.members
    assert result["methods"]["PBT-NAS"]["members"] == SETTINGS.population.members + SETTINGS.steps - 1


def test_a_run_leaves_a_result_pictures_and_the_best_network(gone, path):
    _, result = gone
    assert result == json.loads((path / "result.json").read_text())
    assert result["onnx_difference"] < 1e-4
    for name in ("pbt-nas.png", "random-search.png", "data.png", "curves.png", "lineage.png", "best.onnx"):
        assert (path / name).stat().st_size
    entry = result["methods"]["PBT-NAS"]
    assert entry["last"]["test"] == pytest.approx(np.mean(entry["test"][-2:]))
    assert set(entry["origins"].values()) <= set(range(SETTINGS.population.members))


def test_seeds_are_compared_with_pbt_nas(gone):
    _, result = gone
    found = summary([result, result])
    less = result["methods"]["PBT-NAS"]["last"]["test"] - result["methods"]["random search"]["last"]["test"]
    assert found["less"]["random search"]["test"]["mean"] == pytest.approx(less)
