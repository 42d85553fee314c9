import numpy as np
import pytest

from jaxevo import data
from jaxevo.data import photographs


def covered(shape, corners, size):
    """Which pixels of a picture the crops show."""
    seen = np.zeros(shape[:2], bool)
    for y, x in corners:
        seen[y : y + size, x : x + size] = True
    return seen


@pytest.mark.parametrize(("name", "size"), [("astronaut", 32), ("chelsea", 32), ("coins", 96)])
def test_no_two_splits_share_a_pixel(name, size):
    picture = photographs.enlarged(photographs.photograph(name), size)
    rng = np.random.default_rng(1)
    seen = [
        covered(picture.shape, photographs.choose(rng, picture, size, owns, 150), size)
        for owns in photographs.OWNS.values()
    ]
    assert all(s.any() for s in seen)
    assert not (seen[0] & seen[1]).any()
    assert not (seen[0] & seen[2]).any()
    assert not (seen[1] & seen[2]).any()


def test_tiles_of_the_splits_cover_a_picture_once():
    count = np.zeros((303, 384), int)
    for owns in photographs.OWNS.values():
        for top, left, bottom, right in photographs.tiles(count.shape, 32, owns):
            count[top:bottom, left:right] += 1
    assert (count == 1).all()


def test_a_nearest_mean_colour_classifier_is_poor():
    photos = data.load("photos")

    def colour(split):
        return split.inputs.mean(axis=(1, 2), dtype=np.float64).round(4)

    labels = photos.train.labels
    centres = np.stack([colour(photos.train)[labels == c].mean(0) for c in range(len(photos.classes))])
    nearest = ((colour(photos.test)[:, None] - centres) ** 2).sum(-1).argmin(-1)
    assert (nearest == photos.test.labels).mean() < 0.12


def test_photos_are_balanced_normalised_and_always_the_same():
    photos = data.photos(per_class=12)
    assert [len(s) for s in (photos.train, photos.valid, photos.test)] == [144, 48, 48]
    assert (np.bincount(photos.train.labels) == 12).all()
    assert np.abs(photos.train.inputs.mean(axis=(1, 2), dtype=np.float64)).max() < 1e-4
    assert data.fingerprint(photos) == data.fingerprint(data.load("photos:per_class=12"))


def test_photos_come_in_any_size_and_with_noise():
    photos = data.load("photos:size=80,per_class=3,noise=2")
    assert photos.train.inputs.shape == (36, 80, 80, 3)
    assert photos.train.inputs.std() == pytest.approx(5**0.5, abs=0.05)
    assert photos.name == "photos:size=80,per_class=3,noise=2.0"


def test_crops_are_shrunk_to_means_of_what_they_span():
    wide, small = (data.load(f"photos:per_class=3,{more}") for more in ("size=48", "size=16,span=48"))
    assert small.name == "photos:size=16,per_class=3,span=48"
    assert small.train.inputs.shape == (36, 16, 16, 3)
    means = wide.train.inputs.reshape(36, 16, 3, 16, 3, 3).mean((2, 4))
    means = means / means.std((1, 2), keepdims=True)
    np.testing.assert_allclose(small.train.inputs, means, atol=1e-4)
    assert data.load("photos:per_class=3,size=48,span=48").name == "photos:size=48,per_class=3"


def test_blurred_photos_keep_their_places_and_lose_detail():
    sharp, blurred = (data.load(f"photos:size=32,per_class=6{more}") for more in ("", ",blur=2"))
    assert blurred.name == "photos:per_class=6,blur=2.0"
    steps = [np.abs(np.diff(one.train.inputs, axis=1)).mean() for one in (sharp, blurred)]
    assert steps[1] < 0.5 * steps[0]
    # From far away both look alike.
    far = [one.train.inputs.reshape(-1, 4, 8, 4, 8, 3).mean((2, 4)).reshape(-1) for one in (sharp, blurred)]
    assert np.corrcoef(*far)[0, 1] > 0.9


@pytest.mark.parametrize(
    "setting", [{"blur": -1}, {"size": 2}, {"per_class": 0}, {"noise": -1.0}, {"size": 32.5}, {"span": 16}]
)
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ValueError, match=f"photos: {next(iter(setting))} is"):
        data.photos(**setting)
