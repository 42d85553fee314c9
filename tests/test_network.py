"""Networks as values: what they hold, how they run, and what is refused at the door."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo.network import Network, Trainable, batched, check_inputs, check_key, spec

INPUTS = jax.ShapeDtypeStruct((3,), np.float32)


def linear(**changes):
    return Network(
        **({"apply": lambda p, x: x @ p["w"], "params": {"w": jnp.ones((3, 2))}, "inputs": INPUTS} | changes)
    )


@pytest.mark.smoke
def test_a_network_runs_on_a_batch_of_any_size():
    network = linear()
    for size in (1, 5):
        x = np.arange(3.0 * size, dtype=np.float32).reshape(size, 3)
        np.testing.assert_allclose(network(x), np.repeat(x.sum(1, keepdims=True), 2, axis=1))


def test_inputs_may_be_a_tree():
    inputs = {"image": np.ones((4, 2, 2), np.float32), "size": np.ones((4,), np.int32)}
    assert spec(inputs) == {
        "image": jax.ShapeDtypeStruct((2, 2), np.float32),
        "size": jax.ShapeDtypeStruct((), np.int32),
    }
    network = Network(lambda p, x: x["image"].sum((1, 2)) * x["size"] + p, jnp.ones(()), spec(inputs))
    assert network(inputs).tolist() == [5.0] * 4
    assert jax.tree.map(lambda s: s.shape, batched(spec(inputs), 7)) == {"image": (7, 2, 2), "size": (7,)}


def test_the_frozen_view_of_a_trainable_runs_in_inference_mode():
    def apply(params, state, inputs, key, train):
        noise = jax.random.normal(key, inputs.shape) if train else 0.0
        return (inputs + noise) * params + state, state + 1 if train else state

    trainable = Trainable(lambda key: (jnp.float32(2), jnp.float32(1)), apply, INPUTS, "t", "values", ("a",))
    network = trainable.network(*trainable.init(jax.random.key(0)))
    assert np.array_equal(network(np.ones((2, 3), np.float32)), np.full((2, 3), 3.0))
    assert (network.name, network.output, network.classes) == ("t", "values", ("a",))
    assert set(network.params) == {"params", "state"}


def test_a_network_is_not_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        linear().name = "other"  # type: ignore[misc]


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"apply": None}, TypeError, r"apply is None, expected a function \(params, inputs\)"),
        ({"output": "logit"}, ValueError, "output is 'logit', expected 'logits', 'probabilities' or 'values'"),
        ({"inputs": np.ones((1, 3))}, TypeError, r"expected a pytree of jax.ShapeDtypeStruct.*jaxevo\.spec\(batch\)"),
        ({"inputs": None}, TypeError, "inputs is None"),
        ({"inputs": (3,)}, TypeError, r"inputs is \(3,\)"),
    ],
)
def test_a_network_says_what_it_wants(changes, error, message):
    with pytest.raises(error, match=message):
        linear(**changes)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (np.ones((2, 4), np.float32), ValueError, r"'network': inputs have shape \[2, 4\], expected \[B, 3\]"),
        (np.ones(3, np.float32), ValueError, r"inputs have shape \[3\], expected \[B, 3\] with a leading batch axis"),
        (np.float32(1), ValueError, r"inputs have shape \[\]"),
        (np.ones((2, 3), np.uint8), TypeError, "inputs have dtype uint8, expected float32; convert them"),
        (np.ones((0, 3), np.float32), ValueError, r"batch sizes \[0\], expected one size of at least 1"),
        ({"x": np.ones((2, 3), np.float32)}, TypeError, "inputs have structure"),
        (None, TypeError, "inputs have structure"),
    ],
)
def test_inputs_that_do_not_match_are_refused(inputs, error, message):
    with pytest.raises(error, match=message):
        linear()(inputs)


def test_inputs_of_different_batch_sizes_are_refused():
    with pytest.raises(ValueError, match=r"here: inputs have batch sizes \[2, 3\]"):
        check_inputs("here", (INPUTS, INPUTS), (np.ones((2, 3), np.float32), np.ones((3, 3), np.float32)))
    assert check_inputs("here", INPUTS, jax.ShapeDtypeStruct((5, 3), np.float32)) == 5


def test_a_scalar_has_no_batch_axis_to_leave_out():
    with pytest.raises(ValueError, match="spec: an input is a scalar"):
        spec({"a": np.ones((2, 2)), "b": np.float32(1)})


@pytest.mark.smoke
def test_typed_and_raw_threefry_keys_are_taken_as_one_kind():
    typed = jax.random.key(3)
    assert check_key("here", typed) is typed
    for raw in (jax.random.PRNGKey(3), np.asarray(jax.random.PRNGKey(3))):
        assert jax.random.key_data(check_key("here", raw)).tolist() == jax.random.key_data(typed).tolist()


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (0, TypeError, r"here: key is 0, expected a key; make one with jax.random.key\(seed\)"),
        (None, TypeError, "key is None"),
        (np.ones(3), TypeError, r"key is an array \[3\] of float64, expected a key"),
        (np.zeros(2, np.int32), TypeError, r"key is an array \[2\] of int32"),
        (jax.random.split(jax.random.key(0), 2), ValueError, r"key is a batch of keys \[2\], expected one key"),
        (jax.random.key(0, impl="rbg"), ValueError, "key is of generator rbg, expected threefry2x32"),
    ],
)
def test_what_is_no_threefry_key_is_refused(key, error, message):
    with pytest.raises(error, match=message):
        check_key("here", key)
