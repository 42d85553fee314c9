"""Transfer between networks of libraries: a Flax network trains on as if nothing had happened."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

import jaxevo
from experiments import zoo
from jaxevo import transfer
from tests.networks import pictures


def network(first, second, side):
    """A Flax network of two convolutions, a mean over space and a dense layer."""
    return nn.Sequential(
        [nn.Conv(first, (3, 3)), nn.relu, nn.Conv(second, (side, side)), nn.relu, lambda x: x.mean((1, 2)), nn.Dense(3)]
    )


def test_a_transferred_flax_network_goes_on_training_in_plain_flax_and_optax():
    small, large = network(4, 8, 3), network(6, 9, 5)
    images, labels = pictures(0, 6), jnp.arange(6) % 3
    teacher = jaxevo.from_flax(small, small.init(jax.random.key(0), images), images[:1])
    # The example of the README begins here.
    variables = large.init(jax.random.key(1), images)
    alignment = transfer.align(teacher, jaxevo.from_flax(large, variables, images[:1]))
    params = transfer.copy_weights(alignment, teacher.params, variables)["params"]
    optimizer = optax.adam(1e-2)
    state = optimizer.init(params)

    @jax.jit
    def step(params, state):
        def loss(params):
            logits = large.apply({"params": params}, images)
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        value, gradient = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state, value

    # And ends here.
    np.testing.assert_allclose(large.apply({"params": params}, images), teacher(images), rtol=1e-4, atol=1e-5)
    losses = []
    for _ in range(20):
        params, state, value = step(params, state)
        losses.append(float(value))
    assert losses[-1] < losses[0]


def test_every_network_of_the_zoo_can_be_a_source_of_every_other():
    sizes = ("convnext_8px", "efficientnet_8px", "mobilenet_8px", "resnext_8px", "vit_8px")
    graphs = [jaxevo.trace(zoo.abstract_network(name, classes=10)) for name in sizes]
    params = [jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), graph.network.params) for graph in graphs]
    for one, given in zip(graphs, params, strict=True):
        for other, own in zip(graphs, params, strict=True):
            made = transfer.copy_weights(transfer.align(one, other), given, own, guard=0)
            assert jax.tree.map(jnp.shape, made) == jax.tree.map(jnp.shape, own)


def test_the_drawing_has_a_box_for_each_layer_of_both_main_paths():
    one, other = (jaxevo.trace(zoo.abstract_network(n, classes=10)) for n in ("resnet_8px", "vgg_8px"))
    alignment = transfer.align(one, other)
    axes = transfer.draw(alignment)
    texts = {text.get_text().strip() for text in axes.texts}
    assert {unit.name for side in (alignment.source, alignment.target) for unit in side.main} <= texts
