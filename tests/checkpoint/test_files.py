"""A checkpoint: every leaf comes back bit for bit, damage is noticed, and what cannot be saved is refused."""

import json
import pickle
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


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint.files.orbax, "save", None)
    monkeypatch.setattr(checkpoint.files.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=2_000_000))
    message = r"one' could not be written: No space left on device \(5.0 MB needed, 2.0 MB free\)"
    with pytest.raises(checkpoint.UnsavedError, match=message):
        checkpoint.write(tmp_path / "one", {"x": np.zeros(500_000)})
    assert not list(tmp_path.iterdir())


def test_the_digest_depends_on_every_bit_and_name():
    trees = [{"x": np.zeros(2)}, {"y": np.zeros(2)}, {"x": np.array([0.0, -0.0])}, {"x": np.zeros(2, np.float32)}]
    trees += [{"x": np.zeros((0, 1))}, {"x": np.zeros((0, 2))}, {"x": jax.random.key(0)}]
    assert len({checkpoint.digest(tree) for tree in trees}) == len(trees)
    assert checkpoint.digest(trees[0]) == checkpoint.digest({"x": np.zeros(2)})
    assert checkpoint.digest({"x": jnp.zeros(2)}) == checkpoint.digest({"x": np.zeros(2, np.float32)})


def test_keys_that_orbax_would_take_for_one_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"rename keys that contain '/' or '\.'"):
        checkpoint.write(tmp_path / "c", {"a.b": np.zeros(2), "a": {"b": np.ones(2)}})
