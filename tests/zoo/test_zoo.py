"""Every network of the zoo learns, infers without randomness and is read as a graph."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import zoo
from jaxevo import trace
from jaxevo.network import batched

SMALL = [name for name in zoo.SIZES if name.endswith("_32px")]
TINY = [name for name in zoo.SIZES if name.endswith("_8px")]
DROPPING = {
    "efficientnet": {"stem": 4, "widths": (4, 4), "depths": (1, 2), "strides": (1, 1), "kernels": (3, 3),
                     "expansions": (1, 2), "head": 8, "drop_path": 0.9},
    "convnext": {"widths": (4,), "depths": (2,), "drop_path": 0.9},
    "mobilenet_v3": {"rows": ((3, 8, 8, True, True, 1),), "head": 8, "dense": 8, "dropout": 0.5},
    "vgg": {"widths": (4, 8), "depths": (1, 1), "dense": (8,), "dropout": 0.5},
    "vit": {"width": 8, "depth": 2, "heads": 2, "dropout": 0.2, "drop_path": 0.5, "class_token": True},
}  # fmt: skip


def pictures(inputs, batch=3):
    return jax.random.normal(jax.random.key(7), batched(inputs, batch).shape)


def test_each_family_has_a_small_variant_for_both_sizes_of_pictures():
    # Segmenters, whose data are grey digits, come for 8 and 28 pixels a side.
    assert {zoo.SIZES[name].family for name in TINY} == set(zoo.FAMILIES)
    assert {zoo.SIZES[name].family for name in SMALL} == set(zoo.FAMILIES) - {"deeplab"}


@pytest.mark.parametrize("name", TINY)
def test_every_family_infers_the_same_twice_replays_bit_for_bit_and_learns(name):
    trainable = zoo.build(name, None, 3)
    network = zoo.random_network(jax.random.key(0), name, classes=3)
    (params, state), x = network.params.values(), pictures(trainable.inputs)
    outputs = network(x)
    maps = (8, 8) if zoo.SIZES[name].family == "deeplab" else ()
    assert outputs.shape == (3, *maps, 3)
    assert np.isfinite(outputs).all()
    assert (network(x) == outputs).all()
    graph = trace(network)
    assert (jax.jit(graph.replay)(network.params, x) == outputs).all()
    assert graph.cuts[-1].feature.kind == ("map" if maps else "vector")
    assert graph.parameters == sum(np.size(leaf) for leaf in jax.tree.leaves(network.params))

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def loss(params):
        logits, updated = trainable.apply(params, state, x, jax.random.key(1), True)
        return -jax.nn.log_softmax(logits)[jnp.arange(3), ..., jnp.arange(3)].mean(), updated

    (before, updated), slope = loss(params)
    square = sum(float((leaf**2).sum()) for leaf in jax.tree.leaves(slope))
    stepped = jax.tree.map(lambda p, g: p - 0.01 * float(before) / square * g, params, slope)
    assert loss(stepped)[0][0] < before
    assert jax.tree.structure(updated) == jax.tree.structure(state)
    changed = [bool((a != b).any()) for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(updated), strict=True)]
    assert all(changed)
    assert bool(changed) == (zoo.SIZES[name].family not in ("convnext", "vit"))


@pytest.mark.parametrize("name", SMALL)
def test_small_variants_can_be_cut_at_eight_places_or_more(name):
    graph = trace(zoo.abstract_network(name, classes=4))
    assert len(graph.cuts) >= 8
    assert graph.parameters == sum(leaf.size for leaf in jax.tree.leaves(graph.network.params))


@pytest.mark.parametrize("family", DROPPING)
def test_what_is_dropped_differs_by_key_while_training_and_nothing_is_in_inference(family):
    trainable = zoo.build(family, (8, 8, 3), 3, **DROPPING[family])
    network = zoo.random_network(jax.random.key(0), family, (8, 8, 3), 3, **DROPPING[family])
    (params, state), x = network.params.values(), pictures(trainable.inputs)
    train = jax.jit(trainable.apply, static_argnums=4)
    first, again, other = (train(params, state, x, jax.random.key(k), True)[0] for k in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    drawn = [str(jax.make_jaxpr(lambda p, t=t: trainable.apply(p, state, x, jax.random.key(1), t)[0])(params))
             for t in (False, True)]  # fmt: skip
    assert ["random_bits" in text for text in drawn] == [False, True]


@pytest.mark.smoke
def test_build_refuses_what_it_does_not_know_and_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"'resnt'; did you mean 'resnet'\?"):
        zoo.build("resnt", (8, 8, 3), 3)
    with pytest.raises(ValueError, match=r"'resnet_50'; did you mean 'resnet50'\?"):
        zoo.build("resnet_50", (8, 8, 3), 3)
    with pytest.raises(ValueError, match=r"no size 'width'; did you mean 'widths'\?"):
        zoo.build("resnet", (8, 8, 3), 3, width=4)
    with pytest.raises(ValueError, match="expected \\(height, width, channels\\)"):
        zoo.build("resnet", jax.ShapeDtypeStruct((8, 8), jnp.float32), 3)
    with pytest.raises(ValueError, match="inputs is None, but 'resnet' is a family"):
        zoo.build("resnet", None, 3)
    with pytest.raises(ValueError, match="features of 1x1 are to be reduced by squares of 2x2; use larger pictures"):
        zoo.build("vgg16", (16, 16, 3), 3)
