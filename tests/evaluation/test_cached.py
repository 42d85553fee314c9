"""Features are computed once for a network and its examples, and never mistaken for others."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import Network, checkpoint, data, evaluation

RNG = np.random.default_rng(0)


def network(scale=1.0):
    def apply(params, inputs):
        return jnp.tanh(inputs @ params["w"])

    w = scale * jnp.asarray(np.random.default_rng(1).normal(size=(4, 3)), jnp.float32)
    return Network(apply, {"w": w}, jax.ShapeDtypeStruct((4,), jnp.float32), "backbone", "values")


def dataset():
    parts = [(RNG.normal(size=(n, 4)).astype(np.float32), RNG.integers(0, 2, n)) for n in (9, 5, 6)]
    return data.arrays(*parts)


def test_features_are_what_the_network_gives_with_the_labels_as_they_were():
    one = dataset()
    found = evaluation.features(network(), one, batch=4)
    for which in ("train", "valid", "test"):
        split, made = getattr(one, which), getattr(found, which)
        np.testing.assert_allclose(made.inputs, network()(split.inputs), rtol=1e-5)
        np.testing.assert_array_equal(made.labels, split.labels)
    assert found.classes == one.classes
    valid, train = evaluation.features(network(), [one.valid, one.train])
    np.testing.assert_array_equal(train.inputs, evaluation.features(network(), one.train, on_device=True).inputs)
    assert len(valid) == 5


def test_what_lies_on_disk_is_read_and_not_computed(tmp_path, monkeypatch):
    one = dataset()
    first = evaluation.features(network(), one, folder=tmp_path)

    def refuse(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr("jaxevo.evaluation.cached._computed", refuse)
    again = evaluation.features(network(), one, folder=tmp_path)
    np.testing.assert_array_equal(first.test.inputs, again.test.inputs)
    # Other labels are other examples of the same features.
    poisoned = data.Split(one.test.inputs, 1 - one.test.labels)
    found = evaluation.features(network(), poisoned, folder=tmp_path)
    np.testing.assert_array_equal(found.labels, poisoned.labels)
    with pytest.raises(AssertionError, match="computed again"):
        evaluation.features(network(1.5), one, folder=tmp_path)
    with pytest.raises(AssertionError, match="computed again"):
        evaluation.features(network(), dataclasses.replace(one, valid=one.test, test=dataset().test), folder=tmp_path)


def test_a_damaged_file_is_named(tmp_path):
    one = dataset().train
    evaluation.features(network(), one, folder=tmp_path)
    file = max((path for path in tmp_path.rglob("arrays/**/*") if path.is_file()), key=lambda path: path.stat().st_size)
    file.write_bytes(b"")
    with pytest.raises(checkpoint.DamagedError, match=file.name):
        evaluation.features(network(), one, folder=tmp_path)


def test_wrong_arguments_are_refused():
    one = dataset()
    with pytest.raises(TypeError, match="backbone is a function"):
        evaluation.features(network().apply, one)
    with pytest.raises(TypeError, match="data is a ndarray"):
        evaluation.features(network(), one.train.inputs)
    with pytest.raises(ValueError, match="batch is 0"):
        evaluation.features(network(), one, batch=0)
    with pytest.raises(ValueError, match="features of 'backbone'"):
        evaluation.features(network(), data.Split(one.train.inputs[:, :3], one.train.labels))
    two = dataclasses.replace(network(), apply=lambda params, inputs: (inputs, inputs))
    with pytest.raises(ValueError, match="expected one array"):
        evaluation.features(two, one)
