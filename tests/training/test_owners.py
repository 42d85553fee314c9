"""What an optimiser remembers of a parameter is found in whatever state it lies, and nothing else is touched."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxevo.training.owners import changed

PARAMS = {
    "conv": {"kernel": jnp.arange(1.0, 7).reshape(2, 3), "bias": jnp.arange(10.0, 13)},
    "dense": {"kernel": jnp.arange(20.0, 26).reshape(3, 2)},
}


def negated(tree):
    return jax.tree.map(lambda leaf: -leaf, tree)


def cut(tree):
    """Takes the first channel of the first layer away, wherever it lies."""
    return {
        "conv": {"kernel": tree["conv"]["kernel"][:, 1:], "bias": tree["conv"]["bias"][1:]},
        "dense": {"kernel": tree["dense"]["kernel"][1:]},
    }


def filled(tree, seed=0):
    """Returns a state with numbers everywhere."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.uniform(1, 2, leaf.shape), leaf.dtype), tree)


def same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_the_moments_of_adam_are_changed_and_its_count_is_not():
    state = filled(optax.adam(0.1).init(PARAMS))
    adam, scale = changed(PARAMS, state, cut)
    same((adam.mu, adam.nu), (cut(state[0].mu), cut(state[0].nu)))
    assert adam.count == state[0].count == 1
    same(scale, state[1])


def test_an_optimiser_of_some_parameters_knows_those_alone():
    labels = {"conv": {"kernel": "fast", "bias": "slow"}, "dense": {"kernel": "slow"}}
    optimizer = optax.multi_transform({"fast": optax.adam(0.1), "slow": optax.sgd(0.1, momentum=0.9)}, labels)
    state = filled(optimizer.init(PARAMS))
    found = changed(PARAMS, state, cut)
    fast, slow = ({name: one.inner_state[0] for name, one in tree.inner_states.items()} for tree in (state, found))
    np.testing.assert_array_equal(slow["fast"].mu["conv"]["kernel"], fast["fast"].mu["conv"]["kernel"][:, 1:])
    np.testing.assert_array_equal(slow["slow"].trace["conv"]["bias"], fast["slow"].trace["conv"]["bias"][1:])
    np.testing.assert_array_equal(slow["slow"].trace["dense"]["kernel"], fast["slow"].trace["dense"]["kernel"][1:])
    # It is what the optimiser begins with for the smaller parameters.
    same(jax.tree.map(np.shape, found), jax.tree.map(np.shape, optimizer.init(cut(PARAMS))))


def test_states_may_lie_in_a_dictionary_by_part():
    """As those of a game do: each part has an optimiser that knows its own parameters."""
    momentum = optax.sgd(0.1, momentum=0.9)
    parts = {name: momentum.init({name: PARAMS[name]}) for name in PARAMS}
    state = filled(parts)
    found = changed(PARAMS, state, negated)
    for name in PARAMS:
        same(found[name][0].trace, negated(state[name][0].trace))


def test_what_belongs_to_no_parameter_comes_back():
    state = {
        "conv": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(7)}, "bias": jnp.ones(3),
        "seen": {"kernel": jnp.ones((3, 2))}, "count": jnp.ones((), jnp.int32), "none": None,
    }  # fmt: skip
    found = changed(PARAMS, state, negated)
    np.testing.assert_array_equal(found["conv"]["kernel"], -1)
    same({**found, "conv": None}, {**state, "conv": None})
    np.testing.assert_array_equal(found["conv"]["bias"], 1)
    assert changed(PARAMS, None, negated) is None


def test_a_single_array_may_be_all_the_parameters():
    state = filled(optax.adam(0.1).init(PARAMS["conv"]["kernel"]))
    adam, _ = changed(PARAMS["conv"]["kernel"], state, negated)
    np.testing.assert_array_equal(adam.mu, -state[0].mu)
    np.testing.assert_array_equal(adam.nu, -state[0].nu)
    assert adam.count == 1
