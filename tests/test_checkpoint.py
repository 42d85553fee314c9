import errno
import json
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import threading
import types
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import checkpoint


class State(NamedTuple):
    genomes: dict
    pair: tuple
    count: np.ndarray


def everything():
    return {
        "float": np.linspace(-1, 1, 7).reshape(7, 1),
        "special": np.array([np.nan, np.inf, -0.0, 1e-40], np.float32),
        "bfloat16": jnp.array([1.5, -2.25], jnp.bfloat16),
        "half": np.array([1.5], np.float16),
        "bool": np.array([[True, False]]),
        "ints": [np.array([2**63 - 1]), np.array([2**64 - 1], np.uint64), jnp.array([-3], jnp.int8)],
        "scalar": (np.array(3.5), jnp.array(2), np.float32(7)),
        "empty": [np.zeros((0, 3), np.float32), jnp.zeros((2, 0), jnp.bfloat16), np.zeros((0,), bool)],
        "key": jax.random.key(11),
        "keys": jax.random.split(jax.random.key(12), 3),
        "no keys": jax.random.split(jax.random.key(12), 3)[:0],
        "python": {"int": -(2**40), "float": 0.1, "bool": True},
        "nothing": None,
        "bare": {},
        "state": State({"a": np.arange(3)}, (np.ones(2), jnp.zeros(1)), np.asarray(4)),
    }


def assert_same(came, expected):
    assert jax.tree.structure(came) == jax.tree.structure(expected)
    for left, right in zip(jax.tree.leaves(came), jax.tree.leaves(expected), strict=True):
        assert isinstance(left, jax.Array) == isinstance(right, jax.Array)
        assert jnp.shape(left) == jnp.shape(right)
        if isinstance(right, int | float):
            assert (type(left), left) == (type(right), right)
            continue
        assert left.dtype == right.dtype
        if jnp.issubdtype(left.dtype, jax.dtypes.prng_key):
            left, right = jax.random.key_data(left), jax.random.key_data(right)
        assert np.asarray(left).tobytes() == np.asarray(right).tobytes()


def halve_largest_file(path):
    files = [file for file in pathlib.Path(path).rglob("*") if file.is_file() and file.name != checkpoint.MANIFEST]
    largest = max(files, key=lambda file: file.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)


def saved(path, steps=3, **settings):
    with checkpoint.Folder(path, **settings) as folder:
        for step in range(1, steps + 1):
            folder.save(step, {"x": np.full(4, step)}, {"step": step})
    return folder


@pytest.mark.smoke
def test_every_kind_of_leaf_comes_back_bit_for_bit(tmp_path):
    tree, metadata = everything(), {"history": [1, 0.1, None, "text"]}
    checkpoint.write(tmp_path / "one", tree, metadata)
    came, told = checkpoint.read(tmp_path / "one", target=tree)
    assert_same(came, tree)
    assert told == metadata


def test_without_a_target_tuples_are_lists_and_named_tuples_dictionaries(tmp_path):
    checkpoint.write(tmp_path / "one", {"state": everything()["state"]})
    came, metadata = checkpoint.read(tmp_path / "one")
    expected = {"genomes": {"a": np.arange(3)}, "pair": [np.ones(2), jnp.zeros(1)], "count": np.asarray(4)}
    assert_same(came, {"state": expected})
    assert metadata == {}


def test_a_tree_without_arrays_can_be_saved(tmp_path):
    checkpoint.write(tmp_path / "one", {"memory": None})
    assert checkpoint.read(tmp_path / "one")[0] == {"memory": None}


def test_the_target_gives_structure_not_shapes(tmp_path):
    checkpoint.write(tmp_path / "one", State({"a": np.ones((5, 2))}, (np.ones(1), np.ones(0)), np.asarray(1)))
    came, _ = checkpoint.read(tmp_path / "one", target=State({"a": np.zeros((0, 2))}, (0, 0), 0))
    assert isinstance(came, State)
    assert came.genomes["a"].shape == (5, 2)


def test_a_target_with_other_names_is_refused(tmp_path):
    checkpoint.write(tmp_path / "one", {"x": np.ones(1)})
    with pytest.raises(ValueError, match=r"lacks \['y'\] and has \['x'\] besides"):
        checkpoint.read(tmp_path / "one", target={"y": 0})


def test_an_older_checkpoint_is_replaced_and_anything_else_is_not(tmp_path):
    checkpoint.write(tmp_path / "one", {"x": np.ones(1)})
    checkpoint.write(tmp_path / "one", {"x": np.zeros(1)})
    assert checkpoint.read(tmp_path / "one")[0]["x"] == 0
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="mine' exists and is no checkpoint"):
        checkpoint.write(tmp_path / "mine", {"x": np.ones(1)})


@pytest.mark.parametrize(
    ("tree", "metadata", "error", "message"),
    [
        ({"x": "text"}, None, TypeError, "leaf 'x' is 'text'"),
        ({"x": object()}, None, TypeError, "leaf 'x' is <object"),
        ({"x": np.array([None])}, None, TypeError, "leaf 'x' has dtype object"),
        ({"x": np.ones(1)}, {"set": {1}}, TypeError, "metadata cannot be written as JSON"),
        ({"a/b": np.ones(1), "a": {"b": np.ones(1)}}, None, ValueError, "two leaves of the tree have the same name"),
    ],
)
def test_what_cannot_be_saved_is_refused_before_anything_is_written(tmp_path, tree, metadata, error, message):
    with pytest.raises(error, match=message):
        checkpoint.write(tmp_path / "one", tree, metadata)
    assert not list(tmp_path.iterdir())


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no checkpoint at .*nowhere"):
        checkpoint.read(tmp_path / "nowhere")


@pytest.mark.smoke
def test_every_file_cut_in_half_is_noticed(tmp_path):
    checkpoint.write(tmp_path / "one", {"x": np.arange(5000.0)}, {"a": 1})
    for file in [file for file in (tmp_path / "one").rglob("*") if file.is_file() and file.stat().st_size]:
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(checkpoint.DamagedError):
            checkpoint.read(tmp_path / "one")
        file.unlink()
        with pytest.raises(checkpoint.DamagedError):
            checkpoint.read(tmp_path / "one")
        file.write_bytes(whole)
    checkpoint.read(tmp_path / "one")


def test_changed_metadata_are_noticed(tmp_path):
    manifest = checkpoint.write(tmp_path / "one", {"x": np.ones(1)}, {"a": 1}) / checkpoint.MANIFEST
    sealed = json.loads(manifest.read_text())
    sealed["body"]["metadata"]["a"] = 2
    manifest.write_text(json.dumps(sealed))
    with pytest.raises(checkpoint.DamagedError, match="does not match its checksum"):
        checkpoint.read(tmp_path / "one")


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    checkpoint.write(tmp_path / "one", everything())
    checkpoint.read(tmp_path / "one", everything())


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


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint.files.orbax, "save", None)
    monkeypatch.setattr(checkpoint.files.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=2_000_000))
    message = r"one' could not be written: No space left on device \(5.0 MB needed, 2.0 MB free\)"
    with pytest.raises(checkpoint.UnsavedError, match=message):
        checkpoint.write(tmp_path / "one", {"x": np.zeros(500_000)})
    assert not list(tmp_path.iterdir())


def test_a_last_save_that_failed_is_told_on_leaving_whatever_else_happened(tmp_path, monkeypatch):
    def go(ending):
        with checkpoint.Folder(tmp_path / "run") as folder:
            folder.save(1, {"x": np.ones(1)})
            ending()

    monkeypatch.setattr(checkpoint.files.orbax, "save", full)
    for ending in (lambda: None, sys.exit):
        with pytest.raises(checkpoint.UnsavedError):
            go(ending)


def test_the_digest_depends_on_every_bit_and_name():
    trees = [{"x": np.zeros(2)}, {"y": np.zeros(2)}, {"x": np.array([0.0, -0.0])}, {"x": np.zeros(2, np.float32)}]
    trees += [{"x": jnp.zeros(2)}, {"x": np.zeros((0, 1))}, {"x": np.zeros((0, 2))}]
    assert len({checkpoint.digest(tree) for tree in trees}) == len(trees)
    assert checkpoint.digest(trees[0]) == checkpoint.digest({"x": np.zeros(2)})
