import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import zoo

TINY = {
    "convnext": {"widths": (4, 8), "depths": (1, 1), "kernel": 3},
    "mobilenet": {"stem": 4, "widths": (4, 8), "depths": (1, 1), "strides": (1, 2), "excite": 0.25, "head": 8},
    "resnet": {"stem": 4, "widths": (4, 8), "depths": (1, 1), "strides": (1, 2)},
    "vgg": {"widths": (4, 8), "depths": (1, 1), "stem_stride": 2},
    "vit": {"width": 8, "depth": 1, "heads": 2, "dropout": 0.2, "class_token": True},
}
PICTURES = jax.random.normal(jax.random.key(7), (3, 8, 8, 3))


@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_every_family_gives_logits_trains_and_infers_the_same_twice(family):
    trainable = zoo.build(family, (8, 8, 3), ("cat", "dog", "bird"), **TINY[family])
    params, state = trainable.init(jax.random.key(0))
    network = trainable.network(params, state)
    outputs = network(PICTURES)
    assert outputs.shape == (3, 3)
    assert np.isfinite(outputs).all()
    assert (network(PICTURES) == outputs).all()
    assert network.classes == ("cat", "dog", "bird")

    train = jax.jit(trainable.apply, static_argnums=4)
    trained, updated = train(params, state, PICTURES, jax.random.key(1), True)
    assert trained.shape == (3, 3)
    assert jax.tree.structure(updated) == jax.tree.structure(state)
    changed = [bool((a != b).any()) for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(updated), strict=True)]
    assert all(changed)
    assert bool(changed) == (family in ("mobilenet", "resnet", "vgg"))


def test_dropout_differs_by_key_while_training():
    trainable = zoo.build("vit", (8, 8, 3), 3, **TINY["vit"])
    params, state = trainable.init(jax.random.key(0))
    train = jax.jit(trainable.apply, static_argnums=4)
    first, again, other = (train(params, state, PICTURES, jax.random.key(k), True)[0] for k in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.smoke
def test_build_refuses_what_it_does_not_know_and_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"'resnt'; did you mean 'resnet'\?"):
        zoo.build("resnt", (8, 8, 3), 3)
    with pytest.raises(ValueError, match=r"no size 'width'; did you mean 'widths'\?"):
        zoo.build("resnet", (8, 8, 3), 3, width=4)
    with pytest.raises(ValueError, match="expected \\(height, width, channels\\)"):
        zoo.build("resnet", jax.ShapeDtypeStruct((8, 8), jnp.float32), 3)
