"""Networks without training: random ones run, abstract ones are only read."""

import jax
import numpy as np
import pytest

from experiments import zoo
from jaxevo import trace
from jaxevo.network import batched


@pytest.mark.smoke
def test_random_weights_are_those_of_their_key_and_fit_the_network():
    first, again, other = (zoo.random_network(jax.random.key(k), "vit_8px", classes=3) for k in (0, 0, 1))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), first.params, again.params))
    assert any(bool((a != b).any()) for a, b in zip(*map(jax.tree.leaves, (first.params, other.params)), strict=True))
    trainable = zoo.build("vit_8px", None, 3)
    assert jax.eval_shape(lambda: first.params) == jax.eval_shape(
        lambda: trainable.network(*trainable.init(jax.random.key(0))).params
    )


def test_outputs_of_a_deep_random_network_depend_on_its_inputs():
    network = zoo.random_network(jax.random.key(0), "efficientnet_32px", classes=10, depth_factor=2)
    outputs = np.asarray(network(jax.random.normal(jax.random.key(1), batched(network.inputs, 2).shape)))
    assert np.isfinite(outputs).all()
    assert np.std(outputs[0] - outputs[1]) > 1e-2 * np.std(outputs)


def test_an_abstract_network_has_the_graph_of_a_network_with_weights():
    abstract = zoo.abstract_network("densenet_8px", classes=3)
    network = zoo.random_network(jax.random.key(0), "densenet_8px", classes=3)
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(abstract.params))
    assert trace(abstract).fingerprint == trace(network).fingerprint


def test_keys_are_checked_before_anything_is_drawn():
    with pytest.raises(TypeError, match="random_network: key is 0, expected a key"):
        zoo.random_network(0, "resnet_8px")
