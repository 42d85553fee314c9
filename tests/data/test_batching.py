import jax
import numpy as np
import pytest

from jaxevo import data

SPLIT = data.Split(np.arange(10, dtype=np.float32)[:, None] + 1, np.arange(10, dtype=np.int32))


@pytest.mark.smoke
@pytest.mark.parametrize("key", [None, jax.random.key(3)])
def test_every_example_counts_once_in_batches_of_one_shape(key):
    found = list(data.batches(SPLIT, 4, key))
    assert [b.inputs.shape for b in found] == [(4, 1)] * 3
    labels = np.concatenate([b.labels[b.mask] for b in found])
    assert sorted(labels) == list(range(10))
    assert (np.concatenate([b.inputs[b.mask, 0] for b in found]) == labels + 1).all()
    assert found[-1].mask.tolist() == [True, True, False, False]
    assert not found[-1].inputs[2:].any()


def test_a_key_shuffles_and_always_the_same_way():
    def order(key):
        return np.concatenate([b.labels for b in data.batches(SPLIT, 5, key)]).tolist()

    assert order(None) == list(range(10))
    assert order(jax.random.key(0)) == order(jax.random.key(0)) != order(jax.random.key(1))


def test_wrong_arguments_are_refused_before_the_first_batch():
    with pytest.raises(ValueError, match="batch size is 0"):
        data.batches(SPLIT, 0)
    with pytest.raises(TypeError, match=r"expected a jaxevo.data.Split"):
        data.batches(np.zeros((3, 2)), 1)
    with pytest.raises(TypeError, match="key is 5"):
        data.batches(SPLIT, 1, 5)
