"""What comes in by a door goes back by it: as it came, with other values, and trained."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxevo import Member, training
from jaxevo.data import Split
from tests.interop.networks import LIBRARIES, PAIRS, case, trainable
from tests.normalised import split

KEY = jax.random.key(3)


def equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    assert all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def doubled(tree):
    return jax.tree.map(lambda leaf: 2 * leaf if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, tree)


@pytest.mark.parametrize(("library", "kind"), PAIRS)
def test_variables_go_back_as_they_came_and_with_other_values(library, kind):
    network, _, variables, back = case(library, kind)
    equal(back(network), variables)
    assert type(back(network)) is type(variables)
    equal(back(dataclasses.replace(network, params=doubled(network.params))), doubled(variables))


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_trainable_of_every_library_learns_keeps_its_state_in_inference_and_goes_back(library):
    learner, examples = trainable(library), split(64)
    if library == "equinox":
        examples = Split(examples.inputs.transpose(0, 3, 1, 2), examples.labels)
    optimizer = optax.adam(1e-2)
    member = training.start(KEY, learner, optimizer)
    update = training.supervised(learner, training.cross_entropy, optimizer)
    fitted, history = training.fit(KEY, member, update, examples, epochs=8, batch=32)
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    floats = [[leaf for leaf in jax.tree.leaves(one.state) if leaf.dtype == jnp.float32] for one in (member, fitted)]
    assert floats[0]
    assert all((a != b).any() for a, b in zip(*floats, strict=True))
    step = jax.jit(learner.apply, static_argnums=4)
    one, other = (step(*fitted[1:3], examples.inputs, jax.random.key(seed), True)[0] for seed in (0, 1))
    assert not np.array_equal(one, other)
    inferred, state = learner.apply(*fitted[1:3], examples.inputs, None, False)
    assert state is fitted.state
    network, _, variables, back = case(library, "residual")
    given = back(learner.network(fitted.params, fitted.state))
    assert jax.tree.structure(given) == jax.tree.structure(variables)
    # Each door reads its own library's variables again.
    again = dataclasses.replace(network, params=_params(library, given, network))
    np.testing.assert_allclose(again(examples.inputs), inferred, rtol=1e-4, atol=1e-5)
    assert isinstance(fitted, Member)


def _params(library, given, network):
    if library == "haiku":
        return dict(zip(("params", "state"), given, strict=True))
    return (
        given
        if library != "equinox"
        else jax.tree.unflatten(jax.tree.structure(network.params), jax.tree.leaves(given))
    )
