"""Parents that were trained elsewhere get a last layer for the classes of a data set."""

import jax
import numpy as np
import pytest

from experiments import pretrained, probing
from jaxevo import data

torch = pytest.importorskip("torch")


def features():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3, stride=2), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )


def stripes(count):
    """Pictures of three classes: stripes across, stripes down, and noise."""
    rng = np.random.default_rng(count)
    labels = np.arange(count) % 3
    wave = np.sign(np.sin(np.arange(8) * np.pi / 2 + 0.1))
    patterns = np.stack([np.tile(wave[:, None], (1, 8)), np.tile(wave, (8, 1)), np.zeros((8, 8))])
    pictures = patterns[labels][..., None] + 0.3 * rng.standard_normal((count, 8, 8, 3))
    return pictures.astype(np.float32), labels


def test_the_layer_tells_classes_apart_and_is_fitted_once(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "backbone", lambda name, size: features())
    dataset = data.arrays(stripes(90), stripes(30), stripes(33), classes=("across", "down", "noise"), name="stripes")
    settings = probing.Pretrained("efficientnet-lite0")
    network = probing.probed(settings, dataset, tmp_path / "head")
    found = np.argmax(network(dataset.test.inputs), 1)
    assert (found == dataset.test.labels).mean() > 0.8
    assert network.classes == dataset.classes

    def refuse(*arguments):
        raise AssertionError("the layer was fitted again")

    monkeypatch.setattr(probing, "_discriminant", refuse)
    again = probing.probed(settings, dataset, tmp_path / "head")
    for one, other in zip(jax.tree.leaves(again.params), jax.tree.leaves(network.params), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.inputs == network.inputs
    np.testing.assert_array_equal(np.argmax(again(dataset.test.inputs), 1), found)


def test_logits_are_as_sure_as_they_are_right():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((90, 400))
    labels = np.arange(90) % 3
    features[np.arange(90), labels] += 3.0
    head = probing._discriminant(features, labels)
    fresh = rng.standard_normal((3000, 400))
    strange = np.arange(3000) % 3
    fresh[np.arange(3000), strange] += 3.0
    logits = fresh @ np.asarray(head["kernel"]) + np.asarray(head["bias"])

    def loss(temperature):
        spoken = logits / temperature
        spoken = spoken - spoken.max(1, keepdims=True)
        return (np.log(np.exp(spoken).sum(1)) - spoken[np.arange(3000), strange]).mean()

    assert loss(1.0) < 1.1 * min(loss(t) for t in np.geomspace(0.05, 20, 60))
    assert loss(1.0) < 0.8 * loss(0.1)


def test_a_class_with_one_example_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "backbone", lambda name, size: pytest.fail("the network was made"))
    pictures, labels = stripes(30)
    labels = np.where(np.arange(30) == 2, 2, labels % 2)
    dataset = data.arrays((pictures, labels), stripes(30), stripes(30), classes=("a", "b", "c"), name="stripes")
    with pytest.raises(ValueError, match="class 'c' has 1 examples in train"):
        probing.probed(probing.Pretrained("efficientnet-lite0"), dataset, tmp_path / "head")


def test_two_classes_have_two_logits():
    features = np.random.default_rng(0).standard_normal((40, 5))
    labels = np.arange(40) % 2
    features[:, 0] += 4.0 * labels
    head = probing._discriminant(features, labels)
    assert head["kernel"].shape == (5, 2)
    found = features @ np.asarray(head["kernel"]) + np.asarray(head["bias"])
    assert (found.argmax(1) == labels).mean() > 0.9


@pytest.mark.parametrize("name", pretrained.NAMES[:2])
def test_networks_are_padded_for_the_size_of_their_pictures(name):
    if missing := pretrained.missing(name):
        pytest.skip(f"needs {', '.join(missing)}")
    for size, side in ((32, 1), (56, 2), (80, 3)):
        maps = pretrained.module(name, size).extract_features(torch.zeros(1, 3, size, size))
        assert maps.shape[2:] == (side, side)
    assert pretrained.module(name, (32, 56)).extract_features(torch.zeros(1, 3, 32, 56)).shape[2:] == (1, 2)
