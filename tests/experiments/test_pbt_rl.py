"""The reinforcement learning experiment: experience goes with its member; a cut run ends with the same bits."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from experiments.folder import RunFolder
from experiments.pbt_rl import agents, alone
from experiments.pbt_rl.drqv2 import Learning
from experiments.pbt_rl.pipeline import practice_of, run
from experiments.pbt_rl.practice import NOWHERE, Course, Practice
from experiments.pbt_rl.presets import PRESETS
from experiments.pbt_rl.reporting import report
from experiments.pbt_rl.seeds import summary
from experiments.pbt_rl.starting import load
from experiments.populations import METHODS, Population, strategy_of
from experiments.programs import kept
from jaxevo import pbt, search

SETTINGS = dataclasses.replace(
    PRESETS["quick"],
    size=8,
    sizes=agents.Sizes(channels=2, hidden=4, blocks=0, features=(2, 3)),
    learning=Learning(rate=1e-3, batch=4, settle=100),
    course=Course(steps=12, environments=2, every=4, first=20, remembered=40, episodes=2),
    population=Population(4),
    generations=3,
    tests=2,
)


@pytest.fixture(scope="module")
def environment():
    return load(SETTINGS)._replace(length=5)


@pytest.fixture(scope="module")
def architecture(environment):
    return agents.agent(environment, SETTINGS.sizes)


@pytest.fixture(scope="module", autouse=True)
def programs(tmp_path_factory):
    """Keeps what is compiled, so that a run that goes on does not compile again."""
    with kept(tmp_path_factory.mktemp("programs")):
        yield


def masked(architecture, environment):
    """One program for all members."""
    space = pbt.layers(architecture)
    return Practice(architecture, space, environment, SETTINGS.learning, SETTINGS.course, masked=True)


def searched(architecture, environment, generations, checkpoint=None, callback=None):
    practice = masked(architecture, environment)
    strategy = strategy_of("PBT-NAS", SETTINGS.population, architecture, practice.begin)
    found = search.run(
        jax.random.key(0), strategy, practice, generations, checkpoint=checkpoint, callback=callback, progress=False
    )
    return found, practice


@pytest.fixture(scope="module")
def whole(architecture, environment):
    return searched(architecture, environment, SETTINGS.generations)


def test_a_run_that_was_killed_goes_on_to_the_same_bits(architecture, environment, whole, tmp_path):
    class KilledError(Exception):
        pass

    def kill(entry, state):
        if entry["generation"] == 2:
            raise KilledError

    with pytest.raises(KilledError):
        searched(architecture, environment, SETTINGS.generations, tmp_path / "run", kill)
    found, practice = searched(architecture, environment, SETTINGS.generations, tmp_path / "run")
    reference, undisturbed = whole
    jax.tree.map(np.testing.assert_array_equal, found.population, reference.population)
    # Buffers, and where the environments are.
    jax.tree.map(np.testing.assert_array_equal, practice.memory, undisturbed.memory)
    assert found.history == reference.history


def test_a_child_goes_on_from_what_its_better_parent_has_seen(architecture, environment, whole):
    before, practice = searched(architecture, environment, 1)
    parent = practice.memory["experience"].buffer
    strategy = strategy_of("PBT-NAS", SETTINGS.population, architecture, practice.begin)
    members = strategy.ask(jax.random.key(0), before.state)
    places = members.optimizer_state["place"].tolist()
    worst = int(np.argmin(before.population.fitness[:, 0]))
    birth = whole[0].history[1]["births"][0]
    assert places[worst] == birth["better"] != worst
    assert [place for row, place in enumerate(places) if row != worst] == [row for row in range(4) if row != worst]
    practice(jax.random.key(5), None, members)
    child = practice.memory["experience"].buffer
    held = int(parent.added[birth["better"]])
    assert int(child.added[worst]) == held + SETTINGS.course.steps // 2
    # The ring has turned since: what is left of the parent's rows lies where it lay.
    kept = np.arange(held + 6 - 20, held) % 20
    np.testing.assert_array_equal(child.rows.frames[worst][kept], parent.rows.frames[birth["better"]][kept])


def test_members_begin_with_no_experience_and_learn_as_often_as_asked(whole):
    found, practice = whole
    entry = found.history[-1]
    assert entry["steps"] == 4 * (3 * 12 + 20)
    assert entry["updates"] == 4 * 3 * 3
    assert found.population.genomes.optimizer_state["place"].tolist() == [0, 1, 2, 3]
    counts = found.population.genomes.optimizer_state["critic"][0].count
    assert counts.max() == 9
    assert np.isfinite(found.population.fitness).all()
    assert practice.report() == {"steps": entry["steps"], "updates": entry["updates"]}


def test_a_member_that_is_not_finite_scores_nan(architecture, environment, whole):
    practice = practice_of(SETTINGS, architecture, environment)
    member = jax.tree.map(lambda leaf: leaf[0], whole[0].population.genomes)
    member.params["actor_head"]["bias"][...] = np.nan
    assert np.isnan(practice.score(jax.random.key(0), practice.compacted(member)))


def test_settings_that_hold_no_transition_are_refused(architecture, environment):
    for course in (
        dataclasses.replace(SETTINGS.course, first=6),
        dataclasses.replace(SETTINGS.course, steps=13),
        dataclasses.replace(SETTINGS.course, remembered=12),
    ):
        with pytest.raises(ValueError, match="Practice: "):
            Practice(architecture, pbt.layers(architecture), environment, SETTINGS.learning, course)


def test_a_new_member_has_no_place(architecture, environment):
    practice = practice_of(SETTINGS, architecture, environment)
    strategy = strategy_of("mutation", SETTINGS.population, architecture, practice.begin)
    assert (strategy.init(jax.random.key(0)).genomes.optimizer_state["place"] == NOWHERE).all()
    assert set(SETTINGS.methods) <= set(METHODS)


def test_the_phases_leave_everything_behind_and_seeds_compare_methods(environment, tmp_path):
    pytest.importorskip("matplotlib")
    folder = RunFolder(tmp_path)
    settings = dataclasses.replace(SETTINGS, generations=2)
    report(settings, environment, 0, folder, run(settings, environment, 0, folder))
    for name in ("curves.png", "lineage.png", "episode.gif", "best", "result.json"):
        assert (tmp_path / name).exists()
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["onnx_difference"] is None or result["onnx_difference"] < 1e-5
    other = json.loads(json.dumps(result))
    other["methods"]["random search"]["test"] = result["methods"]["random search"]["test"] - 2.0
    found = summary([result, other])
    both = [one["methods"]["PBT-NAS"]["test"] - one["methods"]["random search"]["test"] for one in (result, other)]
    assert found["more"]["random search"]["mean"] == pytest.approx(np.mean(both))
    assert found["methods"]["PBT-NAS"]["seeds"] == [result["methods"]["PBT-NAS"]["test"]] * 2


def test_an_agent_alone_goes_on_to_the_same_bits(environment, tmp_path):
    settings = dataclasses.replace(SETTINGS, methods=(), population=Population(1), generations=3)
    ended = []
    for name, cut in (("whole", ()), ("cut", (2,))):
        (tmp_path / name).mkdir()
        for generations in (*cut, 3):
            part = dataclasses.replace(settings, generations=generations)
            practice, best, curve = alone.train(part, environment, 0, RunFolder(tmp_path / name))
        ended.append((practice.memory, best, curve["returns"]))
    jax.tree.map(np.testing.assert_array_equal, *ended)
