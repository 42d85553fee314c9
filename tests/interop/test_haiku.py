"""Haiku functions of every form come in, and what cannot work is refused."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxevo
from jaxevo.interop import from_haiku, to_haiku, trainable_from_haiku
from jaxevo.network import Network

hk = pytest.importorskip("haiku")

BATCH = jax.random.normal(jax.random.key(5), (4, 6))
KEY = jax.random.key(0)


def plain(x):
    return hk.Linear(3)(jax.nn.relu(hk.Linear(5)(x)))


def normalised(x, is_training, scale=1.0):
    x = hk.BatchNorm(True, True, 0.9)(hk.Linear(5)(x), is_training)
    return hk.Linear(3)(hk.dropout(hk.next_rng_key(), 0.5, x) if is_training else x) * scale


@pytest.fixture(scope="module")
def stateful():
    transformed = hk.transform_with_state(normalised)
    return transformed, *transformed.init(KEY, BATCH, is_training=True)


@pytest.mark.smoke
@pytest.mark.parametrize("wrap", [lambda transformed: transformed, hk.without_apply_rng])
def test_a_network_from_haiku_gives_what_the_function_gives_in_inference(wrap, stateful):
    transformed, params, state = stateful
    network = from_haiku(wrap(transformed), params, BATCH, state=state, apply_kwargs={"scale": 2.0})
    expected = transformed.apply(params, state, None, BATCH, is_training=False, scale=2.0)[0]
    np.testing.assert_allclose(network(BATCH), expected, rtol=1e-5, atol=1e-6)
    assert to_haiku(network) == (params, state)
    stateless = hk.transform(plain)
    params = stateless.init(KEY, BATCH)
    network = from_haiku(wrap(stateless), params, BATCH, classes=("a", "b", "c"))
    np.testing.assert_allclose(network(BATCH), stateless.apply(params, None, BATCH), rtol=1e-5, atol=1e-6)
    assert to_haiku(network) == (params, {})
    assert network.inputs == jax.ShapeDtypeStruct((6,), jnp.float32)


def test_an_argument_behind_keywords_says_whether_it_trains(stateful):
    _, params, state = stateful
    hidden = hk.transform_with_state(lambda *args, **kwargs: normalised(*args, **kwargs))
    network = from_haiku(hidden, params, BATCH, state=state, train_argument="is_training")
    assert network(BATCH).shape == (4, 3)


def test_with_the_statistics_of_the_batch_an_imported_network_computes_what_haiku_does_in_training():
    def function(x, is_training):
        return hk.Linear(3)(hk.BatchNorm(True, True, 0.9)(hk.Linear(5)(x), is_training))

    transformed = hk.transform_with_state(function)
    params, state = transformed.init(KEY, BATCH, is_training=True)
    network = from_haiku(transformed, params, BATCH, state=state)
    learner = jaxevo.as_trainable(network, "batch")
    learned, kept = learner.init(KEY)
    outputs, moved = learner.apply(learned, kept, BATCH, KEY, True)
    expected, wanted = transformed.apply(params, state, None, BATCH, is_training=True)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    # Haiku debiases: after one step its average is that of the batch alone.
    for name in ("mean_ema", "var_ema"):
        before, after = (tree["state"][f"batch_norm/~/{name}"] for tree in (kept, moved))
        batch = wanted[f"batch_norm/~/{name}"]["average"]
        np.testing.assert_allclose(after["average"], 0.9 * before["average"] + 0.1 * batch, rtol=1e-5, atol=1e-6)
        assert after["hidden"] is before["hidden"]


def test_a_function_without_state_is_trained_with_an_empty_one():
    learner = trainable_from_haiku(hk.without_apply_rng(hk.transform(plain)), BATCH)
    params, state = learner.init(KEY)
    outputs, same = learner.apply(params, state, BATCH, KEY, True)
    assert (outputs.shape, state, same) == ((4, 3), {}, {})
    other = learner.init(jax.random.key(1))[0]
    assert (other["linear"]["w"] != params["linear"]["w"]).any()


def test_what_does_not_fit_is_refused(stateful):
    transformed, params, state = stateful
    with pytest.raises(TypeError, match=r"transformed is a function, expected what haiku\.transform"):
        from_haiku(normalised, params, BATCH)
    with pytest.raises(TypeError, match="transformed is a function"):
        trainable_from_haiku(normalised, BATCH)
    with pytest.raises(TypeError, match=r"params is a tuple, .* of the pair"):
        from_haiku(transformed, (params, state), BATCH)
    with pytest.raises(TypeError, match="state is a ArrayImpl"):
        from_haiku(transformed, params, BATCH, state=BATCH)
    with pytest.raises(ValueError, match=r"state is None, but transformed comes from haiku\.transform_with_state"):
        from_haiku(transformed, params, BATCH)
    with pytest.raises(ValueError, match="which keeps none"):
        from_haiku(hk.transform(plain), params, BATCH, state=state)
    with pytest.raises(ValueError, match="train_argument is 'training', but the call of the transformed function"):
        from_haiku(transformed, params, BATCH, state=state, train_argument="training")
    with pytest.raises(ValueError, match="does not run on inputs"):
        from_haiku(transformed, params, jnp.zeros((4, 7)), state=state)
    with pytest.raises(ValueError, match="classes has 2 names"):
        from_haiku(transformed, params, BATCH, state=state, classes=("a", "b"))
    network = from_haiku(transformed, params, BATCH, state=state)
    with pytest.raises(TypeError, match="no Haiku params and state"):
        to_haiku(Network(lambda p, x: x, {"w": np.ones(3)}, network.inputs))


def test_without_haiku_the_door_says_what_to_install(monkeypatch):
    def missing(module):
        raise ImportError(module)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match="pip install dm-haiku"):
        from_haiku(None, {}, BATCH)
