"""Calls of `jaxevo.subspace`."""

from collections.abc import Iterator

import jax
import numpy as np
from hypothesis import strategies as st

from jaxevo import subspace
from tests.faults.calls.making import Call, call, of
from tests.faults.world import World
from tests.faults.wrong import Kind, callables, counts, flags, keys, names, networks, numbers, spaces, things, trees


def mutations(world: World) -> Iterator[Call]:
    """Yields the calls."""
    shared = {
        "granularity": of(names("weight", "neuron", "layer"), "weight"),
        "scale": of(names("absolute", "relative"), "absolute"),
        "key": of(keys(optional=True), None),
        "mutate": of(callables(optional=True), None),
    }
    parent = networks(*world.objects)
    more = {"antithetic": of(flags(), False), "dynamic": of(flags(), False), "terms": of(counts(1), 1)}
    yield call(
        "partition",
        subspace.partition,
        parent=of(parent, world.network),
        subspaces=of(counts(1, 10**6), 4),
        sigma=of(numbers(), 0.1),
        **shared,
        **more,
    )
    yield call(
        "sparse",
        subspace.sparse,
        parent=of(parent, world.network),
        density=of(numbers(0, 1, open_low=True), 0.1),
        sigma=of(numbers(), 0.1),
        **shared,
        **more,
    )
    yield call(
        "coordinates",
        subspace.coordinates,
        parent=of(parent, world.network),
        sigma=of(numbers(), 0.1),
        subspaces=of(counts(1, 10**6, optional=True), 4),
        density=None,
        subspace=of(counts(0, 3), 0),
        **shared,
    )
    genomes = subspace.Mutation(
        np.zeros((3, 1, 2), np.uint32),
        np.zeros((3, 1), np.int32),
        np.ones((3, 1), np.int32),
        np.ones((3, 1), np.float32),
    )
    strange = st.one_of(things().wrong, st.just(jax.tree.map(lambda leaf: leaf[0], genomes)))
    yield call(
        "combine",
        subspace.combine,
        genomes=of(Kind(strange, ("weights",)), genomes),
        weights=of(
            Kind(st.sampled_from([[1.0], np.zeros((3, 1)), "abc", [np.nan] * 3, {}, 1.0, ["a", "b", "c"]])), None
        ),
    )
    yield call(
        "dense",
        subspace.dense,
        space=of(spaces(*world.objects), world.mutated),
        params=of(trees(world.mutated.params), world.mutated.params),
        noise=of(
            Kind(
                st.sampled_from(
                    [
                        None,
                        3,
                        "x",
                        np.zeros(3, np.uint32),
                        np.zeros(2),
                        world.key,
                        object(),
                        np.zeros((2, 2), np.uint32),
                    ]
                )
            ),
            np.zeros(2, np.uint32),
        ),
        sigma=of(numbers(), 0.1),
    )
    yield call(
        "rebase",
        subspace.rebase,
        space=of(spaces(*world.objects), world.mutated),
        parent=of(networks(world.other, *world.objects[1:]), world.network),
    )
    yield call("sample", lambda key, n: world.mutated.sample(key, n), key=of(keys(), world.key), n=of(counts(1), 2))
    one = jax.tree.map(lambda leaf: leaf[0], genomes)
    yield call(
        "partition",
        lambda genome: world.mutated.decode(world.mutated.params, genome),
        genome=of(Kind(st.one_of(things().wrong, st.just(genomes))), one),
    )
