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
    monkeypatch.setattr(pretrained, "backbone", lambda name: features())
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
