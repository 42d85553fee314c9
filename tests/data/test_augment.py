import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo.data import augment

PICTURES = jnp.arange(8 * 6 * 6 * 1, dtype=jnp.float32).reshape(8, 6, 6, 1)


def test_shift_moves_whole_pictures_and_by_nothing_at_zero():
    assert (augment.shift(0)(jax.random.key(0), PICTURES) == PICTURES).all()
    moved = augment.shift(2)(jax.random.key(0), PICTURES)
    assert moved.shape == PICTURES.shape
    padded = np.pad(PICTURES, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    for before, after in zip(padded, np.asarray(moved), strict=True):
        assert any((before[y : y + 6, x : x + 6] == after).all() for y in range(5) for x in range(5))


def test_flip_mirrors_some_pictures_and_no_other_axis():
    flipped = augment.flip()(jax.random.key(1), PICTURES)
    same = np.asarray((flipped == PICTURES).all(axis=(1, 2, 3)))
    mirrored = np.asarray((flipped == PICTURES[:, :, ::-1]).all(axis=(1, 2, 3)))
    assert (same ^ mirrored).all()
    assert 0 < mirrored.sum() < 8


def test_chain_gives_each_augmentation_its_own_key():
    both = augment.chain(augment.shift(1), augment.flip())(jax.random.key(2), PICTURES)
    by_hand = augment.flip()(
        jax.random.fold_in(jax.random.key(2), 1),
        augment.shift(1)(jax.random.fold_in(jax.random.key(2), 0), PICTURES),
    )
    assert (both == by_hand).all()


@pytest.mark.smoke
def test_maps_move_with_the_pictures_and_only_where_pixels_move():
    brighter = augment.Augment(lambda key, x: x + jax.random.normal(key, (len(x), 1, 1, 1)), lambda key, labels: labels)
    labels = PICTURES[..., 0].astype(jnp.int32)
    for one in (augment.shift(2), augment.flip(), augment.chain(augment.shift(1), augment.flip())):
        key = jax.random.key(7)
        assert (one.maps(key, labels) == one(key, PICTURES)[..., 0]).all()
        assert (augment.chain(brighter, one).maps(key, labels) == one.maps(jax.random.fold_in(key, 1), labels)).all()
    assert (brighter.maps(jax.random.key(0), labels) == labels).all()


def test_a_chain_refuses_functions_that_do_not_say_what_becomes_of_maps():
    with pytest.raises(TypeError, match=r"is no Augment; write Augment\(function, maps\)"):
        augment.chain(augment.flip(), lambda key, x: x)


def test_a_negative_shift_is_refused():
    with pytest.raises(ValueError, match="pixels is -1"):
        augment.shift(-1)
