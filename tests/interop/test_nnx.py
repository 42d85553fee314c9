import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxevo.interop import from_nnx, to_nnx, trainable_from_nnx

BATCH = jax.random.normal(jax.random.key(5), (4, 6))


class Small(nnx.Module):
    def __init__(self, rngs, width=5):
        self.layers = nnx.List([nnx.Linear(6, width, rngs=rngs), nnx.Linear(width, 3, rngs=rngs)])
        self.norm = nnx.BatchNorm(width, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.layers[1](self.drop(self.norm(self.layers[0](x))))


@pytest.fixture
def module():
    made = Small(nnx.Rngs(0))
    made(BATCH)  # moves the running statistics
    return made


@pytest.mark.smoke
def test_a_network_from_nnx_gives_what_the_module_gives_in_inference(module):
    network = from_nnx(module, BATCH, classes=("a", "b", "c"))
    assert not module.drop.deterministic
    module.eval()
    np.testing.assert_allclose(network(BATCH), module(BATCH), rtol=1e-5, atol=1e-6)
    assert (network(BATCH) == network(BATCH)).all()
    assert {"layers", "norm"} == set(network.params)


def test_parameters_are_arguments_and_are_not_written_to(module):
    network = from_nnx(module, BATCH)
    zeros = jax.tree.map(jnp.zeros_like, network.params)
    assert (network.apply(zeros, BATCH) == 0).all()
    assert (network(BATCH) != 0).any()


def test_changed_parameters_go_back_into_a_copy(module):
    network = from_nnx(module, BATCH)
    doubled = dataclasses.replace(network, params=jax.tree.map(lambda a: 2 * a, network.params))
    back = to_nnx(doubled, module)
    assert (back.layers[0].kernel[...] == 2 * module.layers[0].kernel[...]).all()
    assert not back.drop.deterministic
    np.testing.assert_allclose(from_nnx(back, BATCH)(BATCH), doubled(BATCH), rtol=1e-6)


class Tied(nnx.Module):
    """Decodes with the kernel that encodes, and normalises."""

    def __init__(self, rngs):
        self.encoder, self.norm = nnx.Linear(6, 6, rngs=rngs), nnx.BatchNorm(6, rngs=rngs)
        self.decoder = nnx.Linear(6, 6, rngs=rngs)
        self.decoder.kernel = self.encoder.kernel

    def __call__(self, x):
        return self.decoder(self.norm(self.encoder(x)))


def test_a_shared_variable_comes_in_once_and_goes_back_shared():
    tied = Tied(nnx.Rngs(0))
    network = from_nnx(tied, BATCH, output="values")
    assert sum(leaf.shape == (6, 6) for leaf in jax.tree.leaves(network.params)) == 1
    back = to_nnx(dataclasses.replace(network, params=jax.tree.map(lambda a: 2 * a, network.params)), tied)
    assert back.encoder.kernel is back.decoder.kernel
    assert (back.encoder.kernel[...] == 2 * tied.encoder.kernel[...]).all()
    learner = trainable_from_nnx(tied, BATCH, output="values")
    params, state = learner.init(jax.random.key(0))
    assert len(jax.tree.leaves(params)) == 5
    np.testing.assert_allclose(learner.network(params, state)(BATCH), network(BATCH), rtol=1e-5, atol=1e-6)


def test_a_trainable_starts_from_a_module_or_draws_what_a_function_makes(module):
    learner = trainable_from_nnx(module, BATCH)
    (params, state), (same, _) = (learner.init(jax.random.key(seed)) for seed in (0, 1))
    assert (params["layers"][0]["kernel"] == same["layers"][0]["kernel"]).all()
    outputs, moved = learner.apply(params, state, BATCH, jax.random.key(2), True)
    assert (moved["norm"]["mean"] != state["norm"]["mean"]).any()
    assert (outputs != learner.apply(params, state, BATCH, jax.random.key(3), True)[0]).any()
    back = to_nnx(learner.network(params, moved), module)
    assert (back.norm.mean[...] == moved["norm"]["mean"]).all()
    drawing = trainable_from_nnx(Small, BATCH)
    (params, _), (other, _) = (drawing.init(jax.random.key(seed)) for seed in (0, 1))
    assert (params["layers"][0]["kernel"] != other["layers"][0]["kernel"]).any()
    with pytest.raises(TypeError, match="trainable_from_nnx: module is a int"):
        trainable_from_nnx(3, BATCH)
    with pytest.raises(ValueError, match="does not run on inputs"):
        trainable_from_nnx(module, jnp.zeros((4, 7)))


def test_what_does_not_fit_is_refused(module):
    with pytest.raises(TypeError, match="module is the class Small"):
        from_nnx(Small, BATCH)
    with pytest.raises(ValueError, match="does not run on inputs"):
        from_nnx(module, jnp.zeros((4, 7)))
    with pytest.raises(ValueError, match="classes has 2 names"):
        from_nnx(module, BATCH, classes=("a", "b"))
    with pytest.raises(ValueError, match=r"do not fit the module at .*layers"):
        to_nnx(from_nnx(module, BATCH), Small(nnx.Rngs(0), width=7))
