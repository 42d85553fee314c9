import importlib

import numpy as np
import pytest

from jaxevo import data


def rows(split):
    return {split.inputs[i].tobytes() for i in range(len(split))}


@pytest.mark.smoke
def test_digits_has_the_promised_splits_scale_and_classes():
    digits = data.load("digits")
    assert [len(s) for s in (digits.train, digits.valid, digits.test)] == [1000, 400, 397]
    assert digits.train.inputs.shape[1:] == (8, 8, 1)
    assert digits.train.inputs.dtype == np.float32
    assert abs(digits.train.inputs.mean()) < 1e-4
    assert abs(digits.train.inputs.std() - 1) < 1e-4
    assert digits.classes == tuple("0123456789")


@pytest.mark.parametrize("name", ["digits", "mnist5k"])
def test_splits_are_disjoint_stratified_and_always_the_same(name):
    dataset = data.load(name)
    splits = (dataset.train, dataset.valid, dataset.test)
    total = sum(len(s) for s in splits)
    assert len(set.union(*(rows(s) for s in splits))) == total
    shares = np.bincount(np.concatenate([s.labels for s in splits])) / total
    for split in splits:
        assert np.abs(np.bincount(split.labels) - shares * len(split)).max() <= 1.5
    assert data.fingerprint(data.load(name)) == data.fingerprint(dataset)


def test_pixels_are_labelled_with_their_digit_where_there_is_ink():
    digits, pixels = data.load("digits"), data.load("digits:pixels")
    assert pixels.classes == (*digits.classes, "background")
    assert pixels.name == "digits:pixels"
    for plain, split in ((digits.train, pixels.train), (digits.test, pixels.test)):
        assert (plain.inputs == split.inputs).all()
        assert split.labels.shape == split.inputs.shape[:3]
        ink = split.labels != 10
        assert (np.where(ink, split.labels, plain.labels[:, None, None]) == plain.labels[:, None, None]).all()
        assert ink.any((1, 2)).all()
        bright, dark = split.inputs[..., 0][ink], split.inputs[..., 0][~ink]
        assert bright.min() > dark.max()


def test_mnist5k_holds_3000_1000_and_1000_pictures():
    mnist = data.load("mnist5k:pixels")
    assert [len(s) for s in (mnist.train, mnist.valid, mnist.test)] == [3000, 1000, 1000]
    assert mnist.train.labels.shape == (3000, 28, 28)
    assert mnist.train.inputs.shape[1:] == (28, 28, 1)


@pytest.mark.smoke
def test_a_misspelt_name_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"'digist'; did you mean 'digits'\?"):
        data.load("digist")


def test_a_name_like_no_other_lists_what_there_is():
    with pytest.raises(ValueError, match="There are digits, mnist5k, photos"):
        data.load("imagenet")


def test_misspelt_and_wrong_settings_of_photos_say_what_is_expected():
    with pytest.raises(ValueError, match=r"no setting 'sise'; did you mean 'size'\?"):
        data.load("photos:sise=48")
    with pytest.raises(ValueError, match="'large', expected int"):
        data.load("photos:size=large")
    with pytest.raises(ValueError, match="digits takes no setting 'size=9'; write 'digits' or 'digits:pixels'"):
        data.load("digits:size=9")
    with pytest.raises(TypeError, match="name is 3"):
        data.load(3)


@pytest.mark.parametrize("name", ["digits", "mnist5k", "photos"])
def test_a_missing_library_names_the_extra(monkeypatch, name):
    def missing(module):
        raise ImportError(module)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r'pip install "jaxevo\[data\]"'):
        data.load(name)


def test_npz_brings_back_what_was_written(tmp_path):
    digits = data.load("digits")
    stored = {f"{which}_inputs": getattr(digits, which).inputs for which in ("train", "valid", "test")}
    stored |= {f"{which}_labels": getattr(digits, which).labels for which in ("train", "valid", "test")}
    np.savez(tmp_path / "own.npz", classes=np.array(digits.classes), **stored)
    assert data.fingerprint(data.load(f"npz:{tmp_path / 'own.npz'}")) == data.fingerprint(digits)


def test_npz_says_what_is_missing(tmp_path):
    np.savez(tmp_path / "own.npz", train_inputs=np.zeros((2, 3)))
    with pytest.raises(ValueError, match="has no train_labels, valid_inputs"):
        data.load(f"npz:{tmp_path / 'own.npz'}")
    with pytest.raises(FileNotFoundError, match="names no file"):
        data.load("npz:nowhere.npz")
