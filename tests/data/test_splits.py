import numpy as np
import pytest

from jaxevo import data

GOOD = (np.zeros((4, 3)), np.array([0, 1, 2, 0]))


@pytest.mark.smoke
def test_arrays_keeps_values_and_counts_classes():
    dataset = data.arrays(GOOD, GOOD, GOOD)
    assert dataset.train.inputs.dtype == np.float32
    assert dataset.train.labels.dtype == np.int32
    assert dataset.classes == ("0", "1", "2")
    assert len(dataset.valid) == 4


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ((np.zeros((4, 3)), np.zeros(3, int)), ValueError, "4 inputs and 3 labels"),
        ((np.zeros((4, 3)), np.array([0, 1, 2, 9])), ValueError, "labels reach 9"),
        ((np.zeros((4, 3)), np.array([0, -1, 2, 0])), ValueError, "start at -1"),
        ((np.zeros((4, 3)), np.zeros(4)), TypeError, r"labels are values \(floating\), those of train classes"),
        ((np.zeros((4, 3)), np.zeros(4, bool)), TypeError, "labels have dtype bool, expected integers for classes"),
        ((np.zeros((4, 3)), np.zeros((4, 2), int)), ValueError, r"labels of shape \[2\], train of \[\]"),
        ((np.zeros((4, 3), np.uint8), np.zeros(4, int)), TypeError, "inputs have dtype uint8"),
        ((np.full((4, 3), np.nan), np.zeros(4, int)), ValueError, "NaN or infinity, first in example 0"),
        ((np.zeros((4, 2)), np.zeros(4, int)), ValueError, r"shape \[2\], train of \[3\]"),
        ((np.zeros((0, 3)), np.zeros(0, int)), ValueError, "0 inputs"),
        (np.zeros((4, 3)), TypeError, "expected a pair"),
    ],
)
def test_wrong_arrays_are_refused_with_the_reason(bad, error, message):
    with pytest.raises(error, match=f"arrays: valid.*{message}"):
        data.arrays(GOOD, bad, GOOD, classes=("a", "b", "c"))


def test_maps_of_classes_and_values_keep_their_shape_and_kind():
    maps = (np.zeros((4, 3, 3, 1)), np.array([[[0, -1], [2, 1]]] * 4))
    dataset = data.arrays(maps, maps, maps)
    assert dataset.train.labels.shape == (4, 2, 2)
    assert dataset.train.labels.dtype == np.int32
    assert dataset.classes == ("0", "1", "2")
    assert next(data.batches(dataset.train, 3)).labels.shape == (3, 2, 2)
    for shape in ((4,), (4, 5)):
        values = (np.zeros((4, 3)), np.full(shape, 0.5))
        dataset = data.arrays(values, values, values)
        assert dataset.valid.labels.dtype == np.float32
        assert dataset.valid.labels.shape == shape
        assert dataset.classes == ()


def test_maps_and_values_that_cannot_be_meant_are_refused():
    maps = (np.zeros((4, 3, 3, 1)), np.full((4, 3, 3), -2))
    with pytest.raises(ValueError, match=r"start at -2, expected -1 or more.* write -1 where nothing counts"):
        data.arrays(maps, maps, maps)
    values = (np.zeros((4, 3)), np.full(4, 0.5))
    with pytest.raises(TypeError, match="but labels are values"):
        data.arrays(values, values, values, classes=("a", "b"))
    broken = (np.zeros((4, 3)), np.array([0.5, 1.0, np.inf, 0.0]))
    with pytest.raises(ValueError, match="train labels hold NaN or infinity, first in example 2"):
        data.arrays(broken, values, values)


def test_fingerprint_sees_every_change_but_the_name():
    first = data.arrays(GOOD, GOOD, GOOD)
    other = (np.zeros((4, 3)), np.array([0, 1, 2, 1]))
    assert data.fingerprint(first) == data.fingerprint(data.arrays(GOOD, GOOD, GOOD, name="other"))
    assert data.fingerprint(first) != data.fingerprint(data.arrays(GOOD, GOOD, other))
    assert data.fingerprint(first) != data.fingerprint(data.arrays(GOOD, GOOD, GOOD, classes=("a", "b", "c")))
    with pytest.raises(TypeError, match=r"expected a jaxevo.data.Dataset"):
        data.fingerprint(GOOD)
