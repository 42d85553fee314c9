"""Calls of `jaxevo.stitching`."""

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from jaxevo import search, stitching, training
from jaxevo.graph import NetworkGraph
from tests.faults.calls.making import Call, call, of
from tests.faults.world import World
from tests.faults.wrong import (
    Kind,
    arrays,
    callables,
    counts,
    flags,
    instances,
    keys,
    names,
    numbers,
    spaces,
    splits,
    things,
)


def stitches(world: World) -> Iterator[Call]:
    """Yields the calls."""
    merged = instances(stitching.Merged, others=world.objects)
    traced = instances(NetworkGraph, others=world.objects)
    first, second = world.graphs
    genome = np.asarray(stitching.unstitched(world.merged))[0]
    genomes = arrays(genome, finite=False, extra=[genome + 99, genome[:-1], genome - 9, genome.astype(np.float32)])
    pairwise = {"layers": of(flags(), False), "across": of(flags(), False)}
    tables = Kind(
        st.sampled_from(
            [
                "x",
                3,
                {(0, 1): np.zeros(3)},
                {(0, 9): np.zeros((2, 2))},
                np.zeros((2, 2)),
                {(0, 1): np.full((3, 3), np.nan)},
                {(0, 1): "x"},
                {(0, 1): None},
                [],
                {0: 1},
            ]
        )
    )
    several = Kind(
        st.one_of(
            st.sampled_from([[first], [first, first], [world.network, world.other], [first, None], []]), things().wrong
        ),
        ("network",),
    )
    yield call("points", stitching.points, graph=of(traced, first), layers=of(flags(), False))
    yield call("candidates", stitching.candidates, a=of(traced, first), b=of(traced, second), **pairwise)
    yield call(
        "weights",
        stitching.weights,
        a=of(traced, first),
        b=of(traced, second),
        similarity=of(Kind(st.sampled_from(["x", 3, np.zeros(3), np.full((3, 3), 2.0), [], object()])), None),
        **pairwise,
    )
    yield call(
        "match",
        lambda graphs, **rest: stitching.match(*graphs, **rest),
        graphs=of(Kind(several.wrong.filter(lambda value: isinstance(value, list)), several.words), [first, second]),
        similarity=of(tables, None),
        price=of(numbers(-10, 0.4), 0.0),
        most=of(counts(1, optional=True), None),
        time_limit=of(numbers(open_low=True), 5.0),
        **pairwise,
    )
    yield call(
        "stitch",
        stitching.stitch,
        key=of(keys(), world.key),
        matching=of(instances(stitching.Matching, others=world.objects), world.matching),
        votes=of(Kind(st.sampled_from([0.5, "ab", (0.0,), (1.0,), (0.5, 0.5), (np.nan,), None, ("a",), {}])), (0.5,)),
    )
    counted = {
        "batch": of(counts(1), 4),
        "positions": of(counts(1), 8),
        "folds": of(counts(2, 12), 2),
        "mesh": of(things(optional=True), None),
    }
    split = splits(world.split, labels=False, others=world.objects)
    yield call(
        "fit",
        stitching.fit,
        key=of(keys(), world.key),
        merged=of(merged, world.merged),
        split=of(split, world.split),
        ridges=of(Kind(st.sampled_from([(), (0.0,), (-1.0,), 0.1, "ab", (np.nan,), (np.inf,), ("a",), None])), (0.1,)),
        match=of(names("nothing", "variance", "covariance"), "variance"),
        **counted,
    )
    yield call(
        "similarity",
        stitching.similarity,
        key=of(keys(), world.key),
        graphs=of(several, world.graphs),
        split=of(split, world.split),
        **pairwise,
        **counted,
    )
    yield call(
        "switches",
        stitching.switches,
        merged=of(merged, world.merged),
        probability=of(numbers(0, 1, open_low=True), 0.1),
    )
    yield call("unstitched", stitching.unstitched, merged=of(merged, world.merged))
    yield call("single_stitches", stitching.single_stitches, merged=of(merged, world.merged))
    yield call("describe", stitching.describe, merged=of(merged, world.merged), genome=of(genomes, genome))
    drawn = Kind(genomes.wrong.filter(lambda value: value is not None))
    yield call(
        "draw",
        stitching.draw,
        merged=of(merged, world.merged),
        genome=of(drawn, genome),
        axes=of(things(optional=True), None),
    )
    scored = search.Scored(genome[None], np.zeros((1, 2)))
    yield call(
        "explore",
        stitching.explore,
        merged=of(merged, world.merged),
        sets=of(
            Kind(
                st.sampled_from(
                    [
                        None,
                        scored,
                        [scored],
                        {"a": scored._replace(fitness=np.zeros(1))},
                        {"a": scored._replace(fitness=np.zeros((1, 1)))},
                        {"a": scored._replace(genomes=genome[None] + 99)},
                        {"a": None},
                        "a",
                        3,
                    ]
                ),
                ("fitness", "genome"),
            ),
            {"a": scored},
        ),
    )
    yield call(
        "agreement", stitching.agreement, merged=of(merged, world.merged), error=of(callables(optional=True), None)
    )
    yield call(
        "offspring_loss",
        stitching.offspring_loss,
        space=of(spaces(*world.objects), world.switches),
        loss=of(callables(), training.cross_entropy),
    )
    yield call(
        "tune",
        stitching.tune,
        key=of(keys(), world.key),
        merged=of(merged, world.merged),
        split=of(splits(world.split, labels=False), world.split),
        objective=of(callables(optional=True), None),
        optimizer=of(things(optional=True), None),
        epochs=of(counts(0), 1),
        batch=of(counts(1, 12), 4),
        augment=of(callables(optional=True), None),
        callback=of(callables(optional=True), None),
    )
