"""Spaces of sparse children: rule 3, the convention of keys, genomes, and what is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxevo
from jaxevo import evaluation, search, subspace
from tests.compilations import count_compilations
from tests.jaxprs import captured_bytes
from tests.spaces import check_space
from tests.stitching.merging import examples
from tests.subspace.parents import convolutional, dense

KEY = jax.random.key(5)


@pytest.mark.parametrize(
    "settings",
    [
        {"granularity": "weight", "dynamic": True, "terms": 2},
        {"granularity": "layer", "antithetic": True, "terms": 2},
    ],
)
def test_every_way_to_run_a_child_of_a_partition_agrees(settings):
    check_space(subspace.partition(convolutional(), 4, 0.1, scale="relative", **settings), examples(20), members=2)


def test_every_way_to_run_a_child_at_a_density_agrees():
    check_space(subspace.sparse(convolutional(), 0.2, 0.1, granularity="neuron"), examples(20), members=2)


def test_every_way_to_run_a_child_of_dense_layers_agrees():
    for space in (
        subspace.partition(dense(), 6, 0.3, granularity="neuron", dynamic=True, scale="relative"),
        subspace.partition(dense((192, 24, 3)), 4, 0.3, granularity="neuron"),
    ):
        assert space.work is not None
        check_space(space, examples(20), members=2)


def test_every_way_to_run_a_network_inside_one_mask_agrees():
    space = subspace.coordinates(convolutional(), 0.1, subspaces=4, subspace=2, scale="relative")
    check_space(space, examples(20), members=2)


def test_children_follow_the_convention_of_keys_masks_and_signs():
    plain = subspace.partition(dense(), 4, 0.1).sample(KEY, 10)
    pairs = subspace.partition(dense(), 4, 0.1, antithetic=True).sample(KEY, 10)
    for i in range(10):
        pair = i // 2
        assert plain.subspace[i, 0] == i % 4
        assert pairs.subspace[i, 0] == pair % 4
        assert pairs.sign[i, 0] == 1 - 2 * (i % 2)
        np.testing.assert_array_equal(plain.noise[i, 0], jax.random.key_data(jax.random.fold_in(KEY, i // 4)))
        np.testing.assert_array_equal(pairs.noise[i, 0], jax.random.key_data(jax.random.fold_in(KEY, pair // 4)))
    np.testing.assert_array_equal(subspace.sparse(dense(), 0.1, 0.1).sample(KEY, 10).subspace[:, 0], np.arange(10))


def test_antithetic_children_lie_opposite_to_each_other_around_their_parent():
    parent = dense()
    space = subspace.partition(parent, 4, 0.1, antithetic=True)
    one, other = (
        space.decode(space.params, jax.tree.map(lambda leaf, i=i: leaf[i], space.sample(KEY, 2))) for i in (0, 1)
    )
    for a, b, p in zip(*map(jax.tree.leaves, (one.params, other.params, parent.params)), strict=True):
        np.testing.assert_allclose(a - p, p - b, atol=1e-6)


def test_the_vector_of_a_mutations_own_noise_is_that_mutation():
    space = subspace.partition(dense(), 4, 0.1, scale="relative")
    genome = jax.tree.map(lambda leaf: leaf[2], space.sample(KEY, 3))
    inside = subspace.coordinates(dense(), 0.1, subspaces=4, subspace=2, scale="relative")
    noise = space.child.make.masks.draw(jax.random.wrap_key_data(genome.noise[0]), jnp.int32(2))
    drawn = noise[: len(inside.params.coordinates)]
    ours, theirs = inside.decode(inside.params, drawn), space.decode(space.params, genome)
    for a, b in zip(jax.tree.leaves(ours.params), jax.tree.leaves(theirs.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_offspring_take_their_mutations_from_both_parents_and_add_one():
    space = subspace.partition(dense(), 4, 0.1, terms=3)
    a, b = space.sample(jax.random.key(1), 64), space.sample(jax.random.key(2), 64)
    child = jax.tree.map(np.asarray, space.vary(KEY, a, b))
    from_a = (child.noise[:, 0] == np.asarray(a.noise[:, 0])).all(-1)
    from_b = (child.noise[:, 0] == np.asarray(b.noise[:, 0])).all(-1)
    assert (from_a ^ from_b).all()
    assert 16 < from_a.sum() < 48
    assert (child.sign[:, :2] != 0).all()
    assert (child.sign[:, 2] == 0).all()
    assert len(np.unique(child.noise[:, 1], axis=0)) == 64
    again = jax.tree.map(np.asarray, space.vary(KEY, child, space.vary(jax.random.key(9), child, child)))
    assert (space.vary(KEY, again, again).sign != 0).all()


def test_a_combined_genome_is_the_mean_of_its_children():
    space = subspace.partition(dense(), 4, 0.1, antithetic=True)
    genomes = space.sample(KEY, 3)
    children = [space.decode(space.params, jax.tree.map(lambda leaf, i=i: leaf[i], genomes)) for i in range(3)]
    both = space.decode(space.params, subspace.combine(genomes))
    weighted = space.decode(space.params, subspace.combine(genomes, [1.0, -0.5, 0.0]))
    for a, w, p, *parts in zip(
        *map(jax.tree.leaves, (both.params, weighted.params, dense().params, *(c.params for c in children))),
        strict=True,
    ):
        np.testing.assert_allclose(a, sum(parts) / 3, atol=1e-6)
        np.testing.assert_allclose(w, p + (parts[0] - p) - 0.5 * (parts[1] - p), atol=1e-6)


def test_canonical_genomes_forget_what_changes_nothing():
    space = subspace.partition(dense(), 4, 0.1, terms=3)
    genome = jax.tree.map(lambda leaf: np.asarray(leaf[1]), space.sample(KEY, 2))
    moved = jax.tree.map(lambda leaf: leaf[[2, 0, 1]], genome)
    garbage = genome._replace(noise=np.where(genome.sign[:, None] == 0, 7, genome.noise).astype(np.uint32))
    for other in (moved, garbage):
        for a, b in zip(space.canonical(genome), space.canonical(other), strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_program_of_a_child_captures_no_parameters():
    for space in (
        subspace.partition(dense((192, 256, 64, 3)), 8, 0.1, granularity="neuron"),
        subspace.coordinates(dense((192, 256, 64, 3)), 0.1, density=0.5),
    ):
        genome = jax.tree.map(lambda leaf: leaf[0], space.sample(KEY, 1))
        # The classes of the units are a number for each neuron.
        assert captured_bytes(space.child.make, space.params, genome) <= 4 * (256 + 64 + 3)


def test_one_generation_reads_as_in_the_readme():
    split = examples(20)
    space = subspace.partition(dense(), subspaces=8, sigma=0.02, antithetic=True)
    evaluate = evaluation.population(space, split, [-evaluation.nll])
    result = jaxevo.run(KEY, search.truncation(space, population=16), evaluate, generations=1, progress=False)
    best = space.decode(space.params, result.best)
    expected = -float(optax_nll(best(split.inputs), split.labels))
    np.testing.assert_allclose(result.front.fitness[0, 0], expected, rtol=1e-5)


def optax_nll(logits, labels):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), jnp.asarray(labels)[:, None], axis=1).mean()


def test_generations_after_the_first_compile_nothing_whatever_sigma_parent_or_child():
    split = examples(20)
    space = subspace.partition(dense(), 4, 0.1, dynamic=True)
    evaluate = evaluation.population(space, split, [-evaluation.nll])
    layered = subspace.partition(dense(), 3, 0.1, granularity="layer")
    shared = evaluation.shared(layered, split, [-evaluation.nll])

    def generation(seed, sigma, base, other):
        genomes = space.sample(jax.random.key(seed), 8)
        evaluate(None, base, genomes._replace(sigma=jnp.full_like(genomes.sigma, sigma)))
        genomes = layered.sample(jax.random.key(seed), 6)
        shared(None, other, genomes._replace(sigma=jnp.full_like(genomes.sigma, sigma)))
        return space.decode(base, jax.tree.map(lambda leaf: leaf[0], space.sample(jax.random.key(seed), 8)))

    child = generation(0, 0.1, space.params, layered.params)
    base, other = subspace.rebase(space, child).params, subspace.rebase(layered, child).params
    with count_compilations() as compiled:
        for seed, sigma in enumerate((0.01, 0.03, 0.1, 0.2, 0.3, 1.0, 0.0), 1):
            generation(seed, sigma, base, other)
    assert compiled == []
    more = subspace.partition(dense(), 5, 0.1, dynamic=True)
    with count_compilations() as compiled:
        evaluation.population(more, split, [-evaluation.nll])(None, more.params, space.sample(KEY, 8))
    assert 1 <= sum("_make" in name for name in compiled) <= 1


@pytest.mark.parametrize(
    ("make", "change", "error", "message"),
    [
        (subspace.partition, {"parent": 3}, TypeError, "partition: parent is a int, expected a jaxevo.Network"),
        (subspace.partition, {"subspaces": 0}, ValueError, r"subspaces is 0, expected 1 to \d+, the number of weights"),
        (
            subspace.partition,
            {"subspaces": 9, "granularity": "layer"},
            ValueError,
            "expected 1 to 3, the number of layers",
        ),
        (subspace.partition, {"subspaces": 2.0}, TypeError, "subspaces is 2.0"),
        (subspace.partition, {"sigma": -1}, ValueError, "sigma is -1, expected a finite number"),
        (subspace.partition, {"sigma": float("nan")}, ValueError, "sigma is nan"),
        (subspace.partition, {"granularity": "block"}, ValueError, "granularity is 'block'; expected one of"),
        (subspace.partition, {"scale": "layer"}, ValueError, "scale is 'layer'; expected one of"),
        (subspace.partition, {"dynamic": 1}, TypeError, "dynamic is 1"),
        (subspace.partition, {"antithetic": "yes"}, TypeError, "antithetic is 'yes'"),
        (subspace.partition, {"terms": 0}, ValueError, "terms is 0"),
        (subspace.partition, {"key": 5}, TypeError, "key is 5, expected a key"),
        (subspace.partition, {"mutate": "kernel"}, TypeError, "mutate is 'kernel', expected a function"),
        (subspace.partition, {"mutate": lambda path: False}, ValueError, "mutate chooses none of the parameters"),
        (subspace.sparse, {"density": 1.5}, ValueError, r"density is 1.5, expected a share of the weights in \(0, 1\]"),
        (subspace.coordinates, {}, ValueError, "subspaces is None and density is None, expected one of them"),
        (subspace.coordinates, {"subspaces": 4, "subspace": 4}, ValueError, "subspace is 4, expected .* 0 to 3"),
    ],
)
def test_wrong_settings_are_refused_by_name(make, change, error, message):
    usual = {"parent": dense(), "sigma": 0.1}
    usual |= {subspace.partition: {"subspaces": 4}, subspace.sparse: {"density": 0.1}}.get(make, {})
    with pytest.raises(error, match=message):
        make(**usual | change)


def test_wrong_genomes_and_networks_are_refused():
    space = subspace.partition(dense(), 4, 0.1)
    genomes = space.sample(KEY, 3)
    with pytest.raises(ValueError, match="index the population first"):
        space.decode(space.params, genomes)
    with pytest.raises(ValueError, match="expected two stacks of Mutations"):
        space.vary(KEY, genomes, space.sample(KEY, 2))
    with pytest.raises(ValueError, match="sample: n is 0"):
        space.sample(KEY, 0)
    with pytest.raises(ValueError, match=r"combine: weights have shape \[2\]"):
        subspace.combine(genomes, [1.0, 2.0])
    with pytest.raises(ValueError, match="rebase: parent has parameters"):
        subspace.rebase(space, convolutional())
    with pytest.raises(TypeError, match="dense: space is"):
        subspace.dense(subspace.coordinates(dense(), 0.1, density=0.5), space.params, genomes.noise[0, 0], 0.1)
    integers = dataclasses.replace(dense(), params=dense().params | {"step": np.int32(3)})
    with pytest.raises(ValueError, match="mutate chooses 'step', which is int32"):
        subspace.partition(integers, 4, 0.1, mutate=lambda path: path == "step")
