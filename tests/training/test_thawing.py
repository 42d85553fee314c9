"""A thawed network learns, wherever it came from; its statistics stay, and freezing gives back its own structure."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxevo import Member, training
from jaxevo.graph import batch_normalisations, trace
from jaxevo.interop import to_flax
from jaxevo.network import Network, spec
from tests.normalised import equinox, linen, offspring, split

KEY = jax.random.key(2)


def start(network, rate=1e-2):
    trainable, optimizer = training.thaw(network), optax.adam(rate)
    return (
        trainable,
        training.start(KEY, trainable, optimizer),
        training.supervised(trainable, training.cross_entropy, optimizer),
    )


def statistics(network):
    graph = trace(network)
    found = {s.leaf for one in batch_normalisations(graph) for s in (one.mean, one.variance)}
    return [np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(network.params)) if i in found]


@pytest.mark.smoke
def test_an_offspring_learns_and_its_statistics_stay():
    network, examples = offspring(), split()
    trainable, member, update = start(network, rate=2e-2)
    fitted, history = training.fit(KEY, member, update, examples, epochs=15, batch=32)
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    frozen = training.freeze(network, fitted)
    assert jax.tree.structure(frozen.params) == jax.tree.structure(network.params)
    assert statistics(network)
    assert all(np.array_equal(a, b) for a, b in zip(statistics(network), statistics(frozen), strict=True))
    viewed = trainable.network(fitted.params, fitted.state)
    np.testing.assert_allclose(viewed(examples.inputs), frozen(examples.inputs), rtol=1e-6)
    assert trace(viewed).multiply_adds == trace(network).multiply_adds
    assert not np.allclose(frozen(examples.inputs), network(examples.inputs), rtol=0.05)


def test_before_training_it_is_the_network_itself_in_either_mode():
    network, examples = linen()[2], split(8)
    trainable, member, _ = start(network)
    expected = network(examples.inputs)
    for train in (False, True):
        outputs, state = trainable.apply(member.params, member.state, examples.inputs, KEY, train)
        np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
        assert state is member.state
    assert (trainable.name, trainable.output, trainable.inputs) == (network.name, network.output, network.inputs)


def test_a_network_of_flax_goes_back_to_flax_with_what_it_learned():
    module, variables, network = linen()
    _, member, update = start(network)
    fitted, _ = training.fit(KEY, member, update, split(), epochs=1, batch=32)
    given = to_flax(training.freeze(network, fitted))
    assert jax.tree.structure(given) == jax.tree.structure(variables)
    assert jax.tree.all(jax.tree.map(np.array_equal, given["batch_stats"], variables["batch_stats"]))
    assert not np.array_equal(given["params"]["Conv_0"]["kernel"], variables["params"]["Conv_0"]["kernel"])
    assert module.apply(given, split(2).inputs).shape == (2, 3)


def test_statistics_and_whole_numbers_are_state_and_all_else_is_learned():
    network = equinox("batch")
    params, state = training.thaw(network).init(KEY)
    assert len(jax.tree.leaves(state)) == 3
    assert len(jax.tree.leaves(params)) == len(jax.tree.leaves(network.params)) - 3
    assert any(jnp.issubdtype(leaf.dtype, jnp.integer) for leaf in jax.tree.leaves(state))


def test_what_cannot_be_thawed_or_frozen_is_refused():
    _, member, _ = start(linen()[2])
    with pytest.raises(TypeError, match=r"thaw: network is a Linen, expected a jaxevo\.Network"):
        training.thaw(linen()[0])
    counting = Network(lambda params, x: x * params["n"], {"n": np.int32(3)}, spec(np.zeros((1, 4), np.float32)), "n")
    with pytest.raises(ValueError, match="thaw: 'n' has no parameters that are floating"):
        training.thaw(counting)
    with pytest.raises(TypeError, match="freeze: member is a dict, expected a Member"):
        training.freeze(linen()[2], member.params)
    with pytest.raises(TypeError, match="freeze: network is a Member"):
        training.freeze(member, member)
    with pytest.raises(ValueError, match="freeze: member has parameters"):
        training.freeze(offspring(), member)
    wrong = Member(None, jax.tree.map(lambda leaf: leaf[..., None], member.params), member.state, ())
    with pytest.raises(ValueError, match="freeze: member has arrays"):
        training.freeze(linen()[2], wrong)
