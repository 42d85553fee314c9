"""The short version of `python -m tests.faults`: two runs, two kills, a corrupted checkpoint and a double start."""

import json
import signal

import pytest

from experiments.programs import kept
from tests.faults import children, mishaps, runs
from tests.faults.campaign import Kept
from tests.faults.ends import differences
from tests.faults.rounds import SIGNALS, plan


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of runs, which share all programs, however quickly these are compiled."""
    path = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patch, kept(path / "programs", least=0.0):
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(path / "programs"))
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        yield path


def ended(name, folder):
    """Returns the folder of a run that nobody disturbs."""
    runs.go(name, folder / f"{name} undisturbed")
    return folder / f"{name} undisturbed"


def test_killed_in_a_save_and_with_its_newest_checkpoint_corrupted_a_run_ends_with_the_same_bits(folder):
    expected, path = ended("pbt", folder), folder / "pbt"
    with children.start("pbt", path) as child:
        children.until(child, lambda: any(len(children.steps(one)) > 1 for one in children.folders(path)))
        children.until(child, lambda: children.saving(path), pause=0.001)
        child.send_signal(signal.SIGKILL)
        assert children.wait(child) == -signal.SIGKILL, children.said(path)
    newest = mishaps.damage(path, "truncated")
    with pytest.warns(UserWarning, match=f"skipped a damaged checkpoint: .*{newest}"):
        runs.go("pbt", path)
    assert not differences(expected, path)


def test_interrupted_between_two_epochs_a_student_ends_with_the_same_bits_and_nobody_else_may_have_its_folder(folder):
    pytest.importorskip("onnx")
    expected, path = ended("transfer", folder), folder / "transfer"
    with children.start("transfer", path) as child:
        assert children.until(child, lambda: (path / "student" / "step_00000001").exists()), children.said(path)
        with pytest.raises(SystemExit, match=f"transfer' is in use by process {child.pid} on .*wait for it, stop it"):
            runs.go("transfer", path)
        child.send_signal(signal.SIGINT)
        assert children.wait(child) == 128 + signal.SIGINT, children.said(path)
    assert children.said(path).endswith(
        "SIGINT: stopped, and all that had ended is saved; the same command goes on from there\n"
    )
    runs.go("transfer", path)
    assert not differences(expected, path)


def test_of_twenty_rounds_fifteen_kill_after_a_checkpoint_and_five_in_a_save():
    plans = [plan("pbt", number, 0) for number in range(1, 21)]
    assert sum(one.when != "any time" for one in plans) >= 15
    assert sum(one.when == "saving" for one in plans) == 5
    assert {one.signal for one in plans if one.when == "saving"} == set(SIGNALS)


def test_a_campaign_that_was_cut_in_the_middle_of_a_line_goes_on(tmp_path):
    file = tmp_path / "rounds.jsonl"
    Kept(file).add({"round": 1})
    with file.open("a") as opened:
        opened.write('{"round": 2, "wr')
    kept = Kept(file)
    kept.add({"round": 2})
    assert [json.loads(line) for line in file.read_text().splitlines()] == kept.entries == [{"round": 1}, {"round": 2}]
