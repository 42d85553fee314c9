"""Grad-CAM is its formula, and its maps point at what matters."""

import functools

import jax
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxevo import data, pruning, trace, training
from jaxevo.data import Split
from jaxevo.interop import trainable_from_flax
from jaxevo.network import Network
from tests.networks import build, pictures

#: Side of a crop of a photograph and of the blank canvas on which it is pasted: it covers 16% of it.
CROP, CANVAS = 16, 40


class Small(nn.Module):
    """Three convolutions, their mean over space, and a head with a hidden layer."""

    @nn.compact
    def __call__(self, x, train=False):
        del train
        for width, stride in ((16, 2), (32, 1), (32, 2)):
            x = nn.relu(nn.Conv(width, (3, 3), stride)(x))
        x = nn.relu(nn.Dense(24)(x.mean((1, 2))))
        return nn.Dense(12)(x)


def pasted(split: Split, seed: int) -> tuple[Split, np.ndarray]:
    """Each crop at a random place of a canvas of zeros, the mean of all pictures; and the places [n, 2]."""
    rng = np.random.default_rng(seed)
    places = rng.integers(0, CANVAS - CROP + 1, (len(split), 2))
    canvases = np.zeros((len(split), CANVAS, CANVAS, 3), np.float32)
    for canvas, crop, (y, x) in zip(canvases, split.inputs, places, strict=True):
        canvas[y : y + CROP, x : x + CROP] = crop
    return Split(canvases, split.labels), places


@functools.cache
def trained():
    """A network that tells pasted photographs apart, pictures of other parts of them, and where they are pasted."""
    pytest.importorskip("skimage")
    photographs = data.load(f"photos:size={CROP},per_class=150")
    train, _ = pasted(photographs.train, 0)
    test, places = pasted(photographs.test, 1)
    trainable, optimizer = trainable_from_flax(Small(), train.inputs[:1], classes=photographs.classes), optax.adam(3e-3)
    update = training.supervised(trainable, training.cross_entropy, optimizer)
    key = jax.random.key(0)
    member, _ = training.fit(key, training.start(key, trainable, optimizer), update, train, epochs=6, batch=64)
    return trainable.network(member.params, member.state), test, places


def inside(maps: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Share of each map's mass [..., n, height, width] that lies on the pasted crop; NaN for maps without any."""
    enlarged = pruning.enlarge(maps, (CANVAS, CANVAS))
    rows, columns = np.ogrid[:CANVAS, :CANVAS]
    box = [(rows >= y) & (rows < y + CROP) & (columns >= x) & (columns < x + CROP) for y, x in places]
    total = enlarged.sum((-1, -2))
    return np.where(total > 0, (enlarged * np.array(box)).sum((-1, -2)) / np.maximum(total, 1e-12), np.nan)


def test_maps_of_classes_point_at_what_was_pasted():
    network, test, places = trained()
    guesses = np.asarray(network(test.inputs)).argmax(1)
    assert (guesses == test.labels).mean() > 0.2
    maps = pruning.grad_cam(network, test.inputs, "Conv_2", range(12))
    assert maps.shape == (12, len(test), 10, 10)
    shares = inside(maps[guesses, np.arange(len(test))], places)
    assert (shares > 0.5).mean() >= 0.8


def test_maps_of_hidden_neurons_point_at_what_was_pasted():
    network, test, places = trained()
    some = slice(0, len(test), 8)
    shares = inside(pruning.grad_cam(network, test.inputs[some], "Conv_1", range(24), of="Dense_0"), places[some])
    # A neuron that does not respond to a picture has no map of it.
    shares = shares[~np.isnan(shares)]
    assert len(shares) > 100
    assert (shares > 0.5).mean() >= 0.8


@pytest.mark.parametrize("first", [False, True], ids=["channels last", "channels first"])
def test_behind_a_mean_over_space_maps_are_the_class_activation_of_zhou(first):
    network, x = build(0, 8, ("plain", "residual")), pictures(0, 3)
    if first:
        inputs = jax.ShapeDtypeStruct((3, 8, 8), np.float32)
        network = Network(
            lambda p, x: build(0, 8, ("plain", "residual")).apply(p, x.transpose(0, 2, 3, 1)), network.params, inputs
        )
        x = x.transpose(0, 3, 1, 2)
    at = [cut for cut in trace(network).cuts if cut.feature.kind == "map"][-1]
    maps = pruning.grad_cam(network, x, at, [0, 2])
    backbone, _ = pruning.split(network, at)
    feature, head = np.asarray(backbone(x)), np.asarray(network.params["head"]["kernel"])
    expected = np.maximum(np.einsum("bhwc,cv->vbhw", feature, head[:, [0, 2]]), 0) / 64
    np.testing.assert_allclose(maps, expected, atol=1e-5)


def test_units_of_a_map_are_summed_over_its_places():
    network, x = build(0, 8, ("plain", "plain")), pictures(0, 2)
    maps = pruning.grad_cam(network, x, "stem", [3], of="block0")
    before, behind = pruning.split(network, "stem")
    between, _ = pruning.split(behind, "block0")
    feature = before(x)
    slopes = jax.grad(lambda f: between.apply(between.params, f)[..., 3].sum())(feature)
    expected = jax.nn.relu((slopes.mean((1, 2), keepdims=True) * feature).sum(-1))
    np.testing.assert_allclose(maps[0], expected, rtol=1e-4, atol=1e-6)


def test_the_frequency_of_units_is_the_share_of_members_that_keep_them():
    genomes = np.array([[1, 0, 1], [1, 1, 0], [1, 0, 0], [1, 0, 0]], bool)
    np.testing.assert_array_equal(pruning.frequency(genomes), [1, 0.25, 0.25])
    with pytest.raises(ValueError, match=r"genomes are bool \[3\], expected bool \[n, U\]"):
        pruning.frequency(genomes[0])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"network": 3}, TypeError, "grad_cam: network is a int"),
        ({"inputs": pictures(0, 2)[:, :4]}, ValueError, r"inputs have shape \[2, 4, 8, 3\], expected"),
        ({"at": "stm"}, ValueError, "at is 'stm', but 'network' has no such layer; take one of"),
        ({"units": [3]}, ValueError, r"units are \[3\], expected indices in \[0, 3\)"),
        ({"units": []}, ValueError, r"units is \[\], expected a list of whole numbers"),
        ({"at": "block0", "of": "stem"}, ValueError, "of is 'stem', which does not come behind 'block0'"),
    ],
)
def test_wrong_arguments_are_refused_by_name(change, error, message):
    usual = {"network": build(0, 8, ("plain",)), "inputs": pictures(0, 2), "at": "stem", "units": [0]}
    with pytest.raises(error, match=message):
        pruning.grad_cam(**usual | change)
    with pytest.raises(ValueError, match="enlarge: maps are"):
        pruning.enlarge(np.ones(3), (4, 4))
