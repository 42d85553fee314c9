"""A network made trainable learns with frozen statistics or with those of the batch, and goes back to its library."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxevo
from jaxevo import Member, training
from jaxevo.data import Split
from jaxevo.evaluation import recalibrate
from jaxevo.graph import batch_normalisations, trace
from jaxevo.interop import to_flax
from jaxevo.network import Network, spec
from tests.normalised import Linen, equinox, from_nnx_module, linen, offspring, split

KEY = jax.random.key(2)


def start(network, rate=1e-2, **settings):
    trainable, optimizer = jaxevo.as_trainable(network, **settings), optax.adam(rate)
    return (
        trainable,
        training.start(KEY, trainable, optimizer),
        training.supervised(trainable, training.cross_entropy, optimizer),
    )


def statistics(network):
    graph = trace(network)
    found = {s.leaf for one in batch_normalisations(graph) for s in (one.mean, one.variance)}
    return [np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(network.params)) if i in found]


def close(a, b, rtol=1e-5, atol=1e-5):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)


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


@pytest.mark.smoke
def test_with_the_statistics_of_the_batch_a_step_is_that_of_flax():
    _, variables, network = linen()
    module, examples = Linen(momentum=0.9), split(16)
    trainable, member, _ = start(network, normalisation="batch")

    def ours(params):
        outputs, state = trainable.apply(params, member.state, examples.inputs, KEY, True)
        return training.cross_entropy(outputs, examples.labels, np.ones(16, bool)), (outputs, state)

    def theirs(params):
        given = {**variables, "params": params}
        outputs, state = module.apply(given, examples.inputs, train=True, mutable=["batch_stats"])
        return training.cross_entropy(outputs, examples.labels, np.ones(16, bool)), (outputs, state)

    (_, (outputs, state)), gradient = jax.jit(jax.value_and_grad(ours, has_aux=True))(member.params)
    (_, (wanted, stored)), expected = jax.jit(jax.value_and_grad(theirs, has_aux=True))(variables["params"])
    close(outputs, wanted)
    close(state["batch_stats"], stored["batch_stats"])
    # Relative to the largest: a bias before a normalisation has no gradient but rounding.
    largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(expected))
    close(gradient["params"], expected, rtol=1e-4, atol=1e-5 * largest)


def written():
    """A normalisation as importers of files write it: the scale multiplied into the root, all of shape [1, C, 1, 1]."""
    rng = np.random.default_rng(0)
    params = {name: rng.uniform(0.5, 1.5, 3).astype(np.float32) for name in ("bias", "mean", "scale", "var")}

    def apply(params, inputs):
        bias, mean, scale, var = (params[name].reshape(1, 3, 1, 1) for name in ("bias", "mean", "scale", "var"))
        return ((inputs - mean) * (scale * jax.lax.rsqrt(var + 1e-3)) + bias).max((2, 3))

    return Network(apply, params, spec(np.zeros((1, 3, 8, 8), np.float32)), "written")


@pytest.mark.parametrize("make", [from_nnx_module, lambda: equinox("ema"), lambda: equinox("batch"), written])
def test_however_a_normalisation_is_written_it_uses_the_batch_and_moves_what_is_stored(make):
    network, examples = make(), split(24)
    if network.inputs.shape[0] == 3:
        examples = Split(examples.inputs.transpose(0, 3, 1, 2), examples.labels)
    trainable, member, _ = start(network, normalisation="batch", momentum=0.75)
    outputs, state = jax.jit(trainable.apply, static_argnums=4)(member.params, member.state, examples.inputs, KEY, True)
    # A network that stores the statistics of this very batch.
    settled = recalibrate(network, examples, batch=24)
    close(outputs, settled(examples.inputs), atol=1e-4)
    moved = training.freeze(network, Member(None, member.params, state, ()))
    for old, new, batch in zip(*map(statistics, (network, moved, settled)), strict=True):
        np.testing.assert_allclose(new, 0.75 * old + 0.25 * batch, rtol=1e-5, atol=1e-6)
    inferred, same = trainable.apply(member.params, state, examples.inputs, None, False)
    np.testing.assert_allclose(inferred, moved(examples.inputs), rtol=1e-5, atol=1e-5)
    assert same is state


def test_a_network_learns_with_the_statistics_of_the_batch_and_then_infers_with_what_it_stored():
    network, examples = linen()[2], split()
    _, member, update = start(network, rate=2e-2, normalisation="batch")
    fitted, history = training.fit(KEY, member, update, examples, epochs=15, batch=32)
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    found = training.freeze(network, fitted)
    assert all((a != b).any() for a, b in zip(statistics(network), statistics(found), strict=True))
    score = training.cross_entropy(found(examples.inputs), examples.labels, np.ones(64, bool))
    assert score < history[0]["loss"]


def test_what_is_not_learned_is_state_and_all_else_is_params():
    network = equinox("batch")
    params, state = jaxevo.as_trainable(network).init(KEY)
    assert len(jax.tree.leaves(state)) == 3
    assert len(jax.tree.leaves(params)) == len(jax.tree.leaves(network.params)) - 3
    assert any(jnp.issubdtype(leaf.dtype, jnp.integer) for leaf in jax.tree.leaves(state))
    unread = Network(lambda p, x: x * p["w"], {"other": np.ones(2, np.float32), "w": np.ones(4, np.float32)},
                     spec(np.zeros((1, 4), np.float32)))  # fmt: skip
    params, state = jaxevo.as_trainable(unread).init(KEY)
    assert (params["other"], state["w"]) == (None, None)


def test_what_cannot_be_trained_or_frozen_is_refused():
    _, member, _ = start(linen()[2])
    with pytest.raises(TypeError, match=r"as_trainable: network is a Linen, expected a jaxevo\.Network"):
        jaxevo.as_trainable(linen()[0])
    counting = Network(lambda params, x: x * params["n"], {"n": np.int32(3)}, spec(np.zeros((1, 4), np.float32)), "n")
    with pytest.raises(ValueError, match="as_trainable: 'n' has no parameters that are floating"):
        jaxevo.as_trainable(counting)
    with pytest.raises(TypeError, match="freeze: member is a dict, expected a Member"):
        training.freeze(linen()[2], member.params)
    with pytest.raises(TypeError, match="freeze: network is a Member"):
        training.freeze(member, member)
    with pytest.raises(ValueError, match="freeze: member has parameters"):
        training.freeze(offspring(), member)
    wrong = Member(None, jax.tree.map(lambda leaf: leaf[..., None], member.params), member.state, ())
    with pytest.raises(ValueError, match="freeze: member has arrays"):
        training.freeze(linen()[2], wrong)


def folded():
    """A network whose normalisation was folded into its product."""
    params = {"kernel": np.ones((3, 4), np.float32), "shift": np.ones(4, np.float32)}
    return Network(lambda p, x: x @ p["kernel"] + p["shift"], params, spec(np.zeros((1, 3), np.float32)), "folded")


def twice():
    """A network that uses one normalisation twice."""

    def apply(params, inputs):
        for _ in range(2):
            inputs = jnp.tanh((inputs - params["mean"]) * jax.lax.rsqrt(params["var"] + 1e-5) * params["scale"])
        return inputs

    params = {"mean": np.zeros(3, np.float32), "scale": np.ones(3, np.float32), "var": np.ones(3, np.float32)}
    return Network(apply, params, spec(np.zeros((1, 3), np.float32)), "twice")


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (folded, {"normalisation": "batch"}, "'folded' has no batch normalisation .* pass normalisation='frozen'"),
        (twice, {"normalisation": "batch"}, "'mean' of 'twice' is a statistic of several values"),
        (twice, {"normalisation": "running"}, "normalisation is 'running', expected 'frozen'"),
        (twice, {"momentum": 1.0}, r"momentum is 1\.0, expected a number in \[0, 1\)"),
        (twice, {"momentum": True}, "momentum is True"),
    ],
)
def test_what_cannot_train_with_the_statistics_of_the_batch_is_refused(make, settings, message):
    with pytest.raises(ValueError, match=f"as_trainable: .*{message}"):
        jaxevo.as_trainable(make(), **settings)


def test_one_statistic_for_two_values_is_no_hindrance_where_it_is_frozen():
    trainable, member, _ = start(twice())
    x = np.ones((4, 3), np.float32)
    np.testing.assert_allclose(trainable.apply(member.params, member.state, x, KEY, True)[0], twice()(x), rtol=1e-6)
    assert len(jax.tree.leaves(member.state)) == 2
