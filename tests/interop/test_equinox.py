import dataclasses
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo.interop import from_equinox, to_equinox, trainable_from_equinox

eqx = pytest.importorskip("equinox")

BATCH = jax.random.normal(jax.random.key(5), (4, 6))


class Drops(eqx.Module):
    layers: list
    drop: eqx.nn.Dropout

    def __init__(self, key, width=5):
        first, second = jax.random.split(key)
        self.layers = [eqx.nn.Linear(6, width, key=first), jax.nn.relu, eqx.nn.Linear(width, 3, key=second)]
        self.drop = eqx.nn.Dropout(0.5)

    def __call__(self, x, key=None):
        for layer in self.layers:
            x = layer(x)
        return self.drop(x, key=key)


class Normalised(eqx.Module):
    linear: eqx.nn.Linear
    norm: eqx.nn.BatchNorm

    def __init__(self, key):
        self.linear = eqx.nn.Linear(6, 3, key=key)
        self.norm = eqx.nn.BatchNorm(3, axis_name="batch", mode="batch")

    def __call__(self, x, state):
        return self.norm(self.linear(x), state)


@pytest.mark.smoke
def test_a_network_from_equinox_gives_what_the_module_gives_in_inference():
    module = Drops(jax.random.key(0))
    network = from_equinox(module, BATCH, classes=("a", "b", "c"))
    expected = jax.vmap(eqx.nn.inference_mode(module))(BATCH)
    np.testing.assert_allclose(network(BATCH), expected, rtol=1e-5, atol=1e-6)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(network.params))
    assert network.inputs == jax.ShapeDtypeStruct((6,), jnp.float32)


def test_a_module_without_any_inference_flag_comes_in():
    mlp = eqx.nn.MLP(6, 3, 4, 1, key=jax.random.key(0))
    np.testing.assert_allclose(from_equinox(mlp, BATCH)(BATCH), jax.vmap(mlp)(BATCH), rtol=1e-5, atol=1e-6)


def test_changed_parameters_go_back_into_the_module():
    module = Drops(jax.random.key(0))
    network = from_equinox(module, BATCH)
    doubled = dataclasses.replace(network, params=jax.tree.map(lambda a: 2 * a, network.params))
    back = to_equinox(doubled, module)
    assert (back.layers[0].weight == 2 * module.layers[0].weight).all()
    assert not back.drop.inference
    np.testing.assert_allclose(from_equinox(back, BATCH)(BATCH), doubled(BATCH), rtol=1e-6)


def test_running_statistics_come_in_and_go_back_with_the_state():
    module, state = eqx.nn.make_with_state(Normalised)(jax.random.key(0))
    train = jax.vmap(module, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
    _, state = train(3 * BATCH + 1, state)
    network = from_equinox(module, BATCH, state)
    inferring = jax.vmap(eqx.nn.inference_mode(module), axis_name="batch", in_axes=(0, None), out_axes=(0, None))
    np.testing.assert_allclose(network(BATCH), inferring(BATCH, state)[0], rtol=1e-5, atol=1e-6)
    back = from_equinox(*_middle(to_equinox(network, module, state)))
    np.testing.assert_allclose(back(BATCH), network(BATCH), rtol=1e-6)


def _middle(pair):
    return pair[0], BATCH, pair[1]


def test_a_trainable_starts_from_a_module_or_draws_what_a_function_makes():
    module = Drops(jax.random.key(0))
    learner = trainable_from_equinox(module, BATCH)
    params, state = learner.init(jax.random.key(1))
    assert (params.layers[0].weight == module.layers[0].weight).all()
    one, other = (learner.apply(params, state, BATCH, jax.random.key(seed), True)[0] for seed in (0, 1))
    assert (one != other).any()
    # Every example drops its own.
    assert len({tuple(row) for row in np.asarray(one == 0)}) > 1
    np.testing.assert_allclose(learner.network(params, state)(BATCH), from_equinox(module, BATCH)(BATCH), rtol=1e-6)
    drawing = trainable_from_equinox(Drops, BATCH)
    (params, _), (other, _) = (drawing.init(jax.random.key(seed)) for seed in (0, 1))
    assert (params.layers[0].weight != other.layers[0].weight).any()


def test_a_trainable_moves_running_statistics_and_they_go_back_with_the_state():
    made = eqx.nn.make_with_state(Normalised)(jax.random.key(0))
    learner = trainable_from_equinox(made, BATCH)
    params, state = learner.init(jax.random.key(0))
    outputs, moved = learner.apply(params, state, BATCH, jax.random.key(1), True)
    train = jax.vmap(made[0], axis_name="batch", in_axes=(0, None), out_axes=(0, None))
    expected, wanted = train(BATCH, made[1])
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
    _, back = to_equinox(learner.network(params, moved), *made)
    for a, b in zip(jax.tree.leaves(back), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"trainable_from_equinox: the network does not run .*batch"):
        trainable_from_equinox(made, BATCH, axis_name="examples")


def test_what_does_not_fit_is_refused():
    module = Drops(jax.random.key(0))
    with pytest.raises(TypeError, match="module is the class Drops"):
        from_equinox(Drops, BATCH)
    with pytest.raises(TypeError, match="state is a dict"):
        from_equinox(module, BATCH, {})
    with pytest.raises(ValueError, match="does not run on inputs"):
        from_equinox(module, jnp.zeros((4, 7)))
    with pytest.raises(ValueError, match=r"do not fit the module at \.layers"):
        to_equinox(from_equinox(module, BATCH), Drops(jax.random.key(0), width=7))


def test_without_equinox_the_door_says_what_to_install(monkeypatch):
    def missing(module):
        raise ImportError(module)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match="pip install equinox"):
        from_equinox(None, BATCH)
