"""The checkpoints of a run: the newest whole one is restored, saves run in the background, one process at a time."""

import errno
import os
import pathlib
import signal
import subprocess
import sys
import threading

import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import checkpoint


def halve_largest_file(path):
    files = [file for file in pathlib.Path(path).rglob("*") if file.is_file() and file.name != checkpoint.MANIFEST]
    largest = max(files, key=lambda file: file.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)


def saved(path, steps=3, **settings):
    with checkpoint.Folder(path, **settings) as folder:
        for step in range(1, steps + 1):
            folder.save(step, {"x": np.full(4, step)}, {"step": step})
    return folder


def test_the_newest_two_are_kept_and_the_newest_restored(tmp_path):
    folder = saved(tmp_path / "run", steps=5)
    assert folder.steps() == [4, 5]
    assert saved(tmp_path / "more", steps=5, keep=3).steps() == [3, 4, 5]
    restored = folder.restore({"x": 0})
    assert (restored.step, restored.metadata, restored.tree["x"].tolist()) == (5, {"step": 5}, [5] * 4)


def test_an_empty_folder_restores_nothing(tmp_path):
    with checkpoint.Folder(tmp_path / "run") as folder:
        assert folder.restore() is None


@pytest.mark.smoke
def test_a_damaged_newest_is_skipped_with_a_warning_and_saved_over(tmp_path):
    folder = saved(tmp_path / "run", steps=3)
    halve_largest_file(tmp_path / "run" / "step_00000003")
    with pytest.warns(UserWarning, match="skipped a damaged checkpoint: .*step_00000003"):
        assert folder.restore().step == 2
    with folder:
        folder.save(3, {"x": np.full(4, 30)})
    assert folder.restore().tree["x"].tolist() == [30] * 4


def test_saving_clears_away_damaged_ones_of_a_higher_number(tmp_path):
    folder = saved(tmp_path / "run", steps=4)
    halve_largest_file(tmp_path / "run" / "step_00000004")
    with folder:
        with pytest.warns(UserWarning, match="damaged"):
            folder.restore()
        folder.save(3, {"x": np.ones(1)})
    assert folder.steps() == [3]


def test_where_all_are_damaged_nothing_is_restored(tmp_path):
    folder = saved(tmp_path / "run", steps=2)
    for step in (1, 2):
        halve_largest_file(tmp_path / "run" / f"step_0000000{step}")
    with (
        pytest.warns(UserWarning, match="damaged"),
        pytest.raises(checkpoint.DamagedError, match=r"none of .*\[1, 2\]"),
    ):
        folder.restore()


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    saved(tmp_path / "run")
    for name in (".step_00000004.1.building", ".step_00000001.1.removed"):
        (tmp_path / "run" / name).mkdir()
    (tmp_path / "run" / ".owner.json.1").touch()
    with checkpoint.Folder(tmp_path / "run") as folder:
        assert folder.steps() == [2, 3]
        assert sorted(entry.name for entry in folder.path.iterdir() if entry.name.startswith(".")) == [
            ".lock",
            ".owner.json",
        ]


def test_saving_without_the_lock_and_keeping_one_are_refused(tmp_path):
    with pytest.raises(RuntimeError, match="is not locked"):
        checkpoint.Folder(tmp_path / "run").save(1, {})
    with pytest.raises(ValueError, match="keep is 1"):
        checkpoint.Folder(tmp_path / "run", keep=1)


def test_a_locked_folder_says_who_holds_it_until_that_process_dies(tmp_path):
    code = (
        "import sys, time; from jaxevo.checkpoint import Folder\n"
        f"with Folder({str(tmp_path / 'run')!r}): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            with (
                pytest.raises(RuntimeError, match=rf"is in use by process {holder.pid} on .* since 20\d\d-"),
                checkpoint.Folder(tmp_path / "run"),
            ):
                pass
        finally:
            holder.send_signal(signal.SIGKILL)
            holder.wait()
    with checkpoint.Folder(tmp_path / "run"):
        pass


def test_two_folders_of_one_process_lock_each_other_out(tmp_path):
    with (
        checkpoint.Folder(tmp_path / "run"),
        pytest.raises(RuntimeError, match=f"process {os.getpid()}"),
        checkpoint.Folder(tmp_path / "run"),
    ):
        pass


@pytest.mark.smoke
def test_a_save_is_written_in_the_background_from_a_copy(tmp_path, monkeypatch):
    may, save = threading.Event(), checkpoint.files.orbax.save
    monkeypatch.setattr(checkpoint.files.orbax, "save", lambda *arguments: may.wait(60) and save(*arguments))
    tree, metadata = {"x": np.ones(2), "device": jnp.ones(2)}, {"history": [1]}
    with checkpoint.Folder(tmp_path / "run") as folder:
        folder.save(1, tree, metadata)
        tree["x"][:] = 2
        tree["device"].delete()
        metadata["history"].append(2)
        assert not list(folder.path.glob("step_*"))
        may.set()
        assert folder.steps() == [1]
    restored = folder.restore()
    assert {name: leaf.tolist() for name, leaf in restored.tree.items()} == {"x": [1, 1], "device": [1, 1]}
    assert restored.metadata == {"history": [1]}


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_save_that_failed_is_told_by_the_next_and_the_one_before_stays(tmp_path, monkeypatch):
    with checkpoint.Folder(tmp_path / "run") as folder:
        folder.save(1, {"x": np.ones(1)})
        folder.wait()
        with monkeypatch.context() as patched:
            patched.setattr(checkpoint.files.orbax, "save", full)
            folder.save(2, {"x": np.ones(1)})
            with pytest.raises(checkpoint.UnsavedError, match=r"step_00000002' could not be written: .*No space left"):
                folder.save(3, {"x": np.ones(1)})
        assert [entry.name for entry in folder.path.iterdir() if "step" in entry.name] == ["step_00000001"]
        folder.save(3, {"x": np.ones(1)})
    assert folder.steps() == [1, 3]


def test_a_last_save_that_failed_is_told_on_leaving_whatever_else_happened(tmp_path, monkeypatch):
    def go(ending):
        with checkpoint.Folder(tmp_path / "run") as folder:
            folder.save(1, {"x": np.ones(1)})
            ending()

    monkeypatch.setattr(checkpoint.files.orbax, "save", full)
    for ending in (lambda: None, sys.exit):
        with pytest.raises(checkpoint.UnsavedError):
            go(ending)


def test_what_is_no_folder_is_refused_in_words(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError, match="is no folder and none can be made there; name another"):
            checkpoint.Folder(path).__enter__()
