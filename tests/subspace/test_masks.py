"""Masks and the noise inside them: partitions are disjoint and complete, and their deltas add up (rule 4)."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import subspace
from jaxevo.graph import trace
from jaxevo.network import Network, spec
from jaxevo.subspace.choosing import choose, spread
from jaxevo.subspace.settings import build
from jaxevo.subspace.shuffling import shuffle
from jaxevo.subspace.units import channel_axes, units
from tests.networks import KINDS
from tests.networks import build as network
from tests.normalised import linen
from tests.subspace.parents import convolutional, dense

NOISE = jax.random.key(7)


def coordinates(masks, base, noise, subspaces):
    """The coordinates of masks 0, 1, ..., without empty slots."""
    of = jax.jit(lambda j: masks.of(base, noise, j).coordinates)
    return [found[found < masks.chosen.count] for found in (np.asarray(of(j)) for j in range(subspaces))]


@pytest.mark.parametrize("granularity", ["weight", "neuron", "layer"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_masks_of_a_partition_are_disjoint_complete_and_of_one_size(granularity, dynamic):
    for subspaces in (1, 3, 4):
        graph, masks, base = build(
            "test", convolutional(), subspaces, None, granularity, "absolute", dynamic, None, None
        )
        found = coordinates(masks, base, NOISE, subspaces)
        np.testing.assert_array_equal(np.sort(np.concatenate(found)), np.arange(masks.chosen.count))
        sizes = [len(one) for one in found]
        assert max(sizes) <= masks.slots
        if granularity != "layer":
            largest = 1 if granularity == "weight" else int(base.units.size.max())
            assert max(sizes) - min(sizes) <= largest
            assert masks.slots == max(sizes)
        del graph


def test_a_mask_at_a_density_holds_its_share_of_different_units():
    for granularity, density in (("weight", 0.1), ("neuron", 0.3), ("layer", 0.5)):
        _, masks, base = build("test", convolutional(), None, density, granularity, "absolute", True, None, None)
        count = masks.chosen.count if granularity == "weight" else len(base.units.size)
        for found in coordinates(masks, base, NOISE, 3):
            assert len(np.unique(found)) == len(found)
            if granularity == "weight":
                assert len(found) == round(density * count)
        if granularity != "weight":
            taken = np.asarray(masks.of(base, NOISE, jnp.int32(2)).units)
            assert len(np.unique(taken)) == len(taken) == round(density * count)


def test_static_masks_stay_and_dynamic_ones_follow_their_noise():
    for dynamic in (False, True):
        for subspaces, density in ((4, None), (None, 0.25)):
            masked = build("test", convolutional(), subspaces, density, "weight", "absolute", dynamic, None, None)
            one, same, other = (coordinates(*masked[1:], jax.random.key(seed), 1)[0] for seed in (1, 1, 2))
            np.testing.assert_array_equal(one, same)
            assert np.array_equal(np.sort(one), np.sort(other)) != dynamic
    first, second = (
        coordinates(
            *build("t", convolutional(), 4, None, "weight", "absolute", False, jax.random.key(s), None)[1:], NOISE, 1
        )[0]
        for s in (0, 1)
    )
    assert not np.array_equal(np.sort(first), np.sort(second))


@pytest.mark.parametrize("size", [1, 2, 3, 10, 97, 1000])
def test_a_shuffle_is_a_permutation(size):
    for seed in range(3):
        moved = shuffle(jax.random.key(seed), jnp.arange(size), size)
        np.testing.assert_array_equal(np.sort(np.asarray(moved)), np.arange(size))


def test_shuffles_put_every_element_everywhere_alike_and_pairs_together_by_chance():
    size, parts, draws = 60, 4, 2000
    keys = jax.random.split(jax.random.key(0), draws)
    moved = np.asarray(jax.vmap(lambda key: shuffle(key, jnp.arange(size), size))(keys))
    where = np.zeros((draws, size), int)
    where[np.arange(draws)[:, None], moved] = np.arange(size) % parts
    shares = (where == 0).mean(0)
    # Six standard deviations of a share, of which 60 and 1,770 are looked at.
    assert np.abs(shares - 1 / parts).max() < 6 * np.sqrt(1 / parts * (1 - 1 / parts) / draws)
    together = np.array([(where[:, a] == where[:, b]).mean() for a, b in itertools.combinations(range(size), 2)])
    chance = (size / parts - 1) / (size - 1)
    assert np.abs(together - chance).max() < 6 * np.sqrt(chance * (1 - chance) / draws)


@pytest.mark.parametrize("granularity", ["weight", "neuron", "layer"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_the_sparse_deltas_of_one_noise_key_add_up_to_the_dense_mutation_bit_for_bit(granularity, dynamic):
    parent, subspaces = convolutional(), 5
    space = subspace.partition(parent, subspaces, 0.1, granularity=granularity, dynamic=dynamic, scale="relative")
    genomes = space.sample(jax.random.key(3), subspaces)
    zero = subspace.rebase(
        space, dataclasses.replace(parent, params=jax.tree.map(jnp.zeros_like, parent.params))
    ).params
    make = jax.jit(space.child.make)
    deltas = [make(zero, jax.tree.map(lambda leaf, i=i: leaf[i], genomes)) for i in range(subspaces)]
    added = jax.tree.map(lambda *parts: sum(np.asarray(part) for part in parts), *deltas)
    dense_delta = subspace.dense(space, zero, genomes.noise[0, 0], 0.1)
    touched = 0
    for total, whole, *parts in zip(*map(jax.tree.leaves, (added, dense_delta, *deltas)), strict=True):
        np.testing.assert_array_equal(total, whole)
        touched += sum((np.asarray(part) != 0).astype(int) for part in parts).max()
    assert touched == len(jax.tree.leaves(deltas[0]))


def test_statistics_integers_and_what_nobody_reads_are_not_mutated():
    graph = trace(linen()[2])
    chosen = choose("test", graph, None)
    paths = {graph.paths[leaf] for leaf in chosen.leaves}
    assert {path for path in graph.paths if path not in paths} == {
        path for path in graph.paths if "batch_stats" in path
    }
    kernels = choose("test", graph, lambda path: path.endswith("kernel"))
    assert {graph.paths[leaf].split("/")[-1] for leaf in kernels.leaves} == {"kernel"}


def test_a_neuron_is_an_output_channel_with_its_bias_and_normalisation():
    graph = trace(linen()[2])
    chosen = choose("test", graph, None)
    found = units(graph, chosen, "neuron")
    # Conv 3x3x3+bias with scale and bias, 3x3x8+bias with a layer normalisation and a bias, dense layers.
    sizes = sorted(np.asarray(found.size).tolist())
    assert sum(sizes) == chosen.count
    assert sizes.count(3 * 9 + 3) == 8
    assert sizes.count(6 + 1) == 3
    assert len(units(graph, chosen, "layer").size) == len(set(chosen.layers))


def test_biases_with_axes_of_one_go_with_their_channels():
    def apply(params, x):
        y = jax.lax.conv_general_dilated(
            x, params["layer"]["weight"], (1, 1), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW")
        )
        return (y + params["layer"]["bias"]).mean((2, 3))

    params = {"weight": np.ones((4, 3, 3, 3), np.float32), "bias": np.ones((4, 1, 1), np.float32)}
    graph = trace(Network(apply, {"layer": params}, spec(np.zeros((1, 3, 8, 8), np.float32)), "torch"))
    found = units(graph, choose("test", graph, None), "neuron")
    np.testing.assert_array_equal(found.size, [3 * 9 + 1] * 4)


@pytest.mark.parametrize("kind", KINDS)
def test_channels_are_found_in_every_kind_of_network(kind):
    graph = trace(network(0, 4, (kind,)))
    found = units(graph, choose("test", graph, None), "neuron")
    np.testing.assert_array_equal(np.sort(found.coordinates), np.arange(graph.parameters))
    for leaf, path in enumerate(graph.paths):
        if path.endswith("kernel"):
            assert channel_axes(graph.program, leaf) == (len(graph.program.avals[leaf].shape) - 1,)


def test_spread_is_that_of_the_layers_weights():
    graph = trace(dense())
    chosen = choose("test", graph, None)
    kernel, bias = (np.asarray(dense().params["dense1"][name]) for name in ("kernel", "bias"))
    pooled = np.sqrt(
        (((kernel - kernel.mean()) ** 2).sum() + ((bias - bias.mean()) ** 2).sum()) / (kernel.size + bias.size)
    )
    found = spread(chosen, dense().params)
    named = dict(zip([graph.paths[leaf] for leaf in chosen.leaves], np.asarray(found), strict=True))
    np.testing.assert_allclose([named["dense1/kernel"], named["dense1/bias"]], pooled, rtol=1e-5)
