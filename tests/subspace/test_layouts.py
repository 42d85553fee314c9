"""A child's parameters are the same bits whatever the layout, and its fitness agrees; see tests/hosts for devices."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo import evaluation, subspace
from tests.stitching.merging import examples
from tests.subspace.parents import convolutional, dense

KEY = jax.random.key(11)
METRICS = [-evaluation.nll]


def spaces():
    """Spaces with a relative sigma, where bits would differ first, with one mutation and with two."""
    return [
        subspace.partition(dense(), 3, 0.1, granularity=granularity, dynamic=True, scale="relative", terms=terms)
        for granularity, terms in (("weight", 1), ("layer", 2))
    ]


def genomes_of(space, count=70):
    """Genomes of which, where there is room, each adds up two mutations."""
    genomes = space.sample(KEY, count)
    return genomes if genomes.sign.shape[1] == 1 else space.vary(KEY, genomes, genomes)


def test_a_child_alone_in_a_row_and_side_by_side_is_the_same_bits():
    for space in spaces():
        genomes, make = genomes_of(space, 5), space.child.make
        alone = jax.jit(make)
        ways = (
            jax.jit(jax.vmap(make, (None, 0))),
            jax.jit(lambda params, genomes, make=make: jax.lax.map(lambda g: make(params, g), genomes)),
        )
        expected = [alone(space.params, jax.tree.map(lambda leaf, i=i: leaf[i], genomes)) for i in range(5)]
        expected = jax.tree.map(lambda *leaves: jnp.stack(leaves), *expected)
        for way in ways:
            for a, b in zip(jax.tree.leaves(way(space.params, genomes)), jax.tree.leaves(expected), strict=True):
                np.testing.assert_array_equal(np.asarray(a).view(np.uint32), np.asarray(b).view(np.uint32))


def test_pieces_of_a_child_are_the_bits_of_the_whole():
    space = subspace.partition(convolutional(), 3, 0.1, granularity="layer", scale="relative", terms=2)
    genome = jax.tree.map(lambda leaf: np.asarray(leaf[3]), genomes_of(space, 5))
    whole = space.decode(space.params, genome)
    for step in space.work.plan(genome):
        segment = space.work.segments[step.segment]
        made = segment.make(space.params, step.variant) if step.variant else segment.select(space.params)
        expected = segment.select(space.params._replace(params=whole.params))
        for name in made:
            np.testing.assert_array_equal(made[name], expected[name])


def test_layout_and_chunk_change_no_fitness_and_are_reported():
    space = subspace.partition(dense(), 6, 0.1, scale="relative")
    genomes, found = space.sample(KEY, 10), []
    settings = [("auto", None), ("one", 1), ("apart", 4), ("map", 3), ("vmap", 16)]
    for layout, chunk in settings:
        evaluate = evaluation.population(space, examples(20), METRICS, batch=8, layout=layout, chunk=chunk)
        found.append(np.asarray(evaluate(None, space.params, genomes)[1]))
        expected = {"auto": "apart"}.get(layout, layout)
        assert (evaluate.report()["layout"], evaluate.report()["chunk"]) == (expected, chunk or 1)
        np.testing.assert_allclose(found[-1], found[0], rtol=1e-5)


def test_a_narrow_evaluation_rounds_children_after_they_are_made():
    space = subspace.partition(dense(), 4, 1e-4)
    genomes = space.sample(KEY, 4)
    for settings in ({}, {"layout": "vmap"}):
        narrow = evaluation.population(space, examples(20), METRICS, dtype="bfloat16", **settings)
        wide = evaluation.population(space, examples(20), METRICS, **settings)
        ours, theirs = (np.asarray(e(None, space.params, genomes)[1]) for e in (narrow, wide))
        np.testing.assert_allclose(ours, theirs, rtol=0.05)


def test_the_memory_of_a_population_grows_by_genomes_and_scores_alone():
    space = subspace.partition(dense(), 4, 0.1)
    evaluate = evaluation.population(space, examples(20), METRICS)
    parameters = sum(leaf.nbytes for leaf in jax.tree.leaves(dense().params))
    assert evaluate.memory_bytes(1024) - evaluate.memory_bytes(1) < 1024 * 64 < 64 * parameters
    chunked = evaluation.population(space, examples(20), METRICS, chunk=8)
    assert chunked.memory_bytes(8) - evaluate.memory_bytes(8) >= 7 * parameters
