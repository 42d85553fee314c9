"""Calls of `jaxevo.evaluation`."""

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from jaxevo import data, evaluation, stitching
from tests.faults.calls.making import Call, call, of
from tests.faults.world import World
from tests.faults.wrong import (
    Kind,
    arrays,
    batches,
    callables,
    counts,
    flags,
    instances,
    keys,
    names,
    networks,
    numbers,
    paths,
    spaces,
    splits,
    things,
    trees,
)


def _metrics(world: World) -> Kind:
    strange = [
        evaluation.accuracy,
        [],
        "accuracy",
        ["accuracy"],
        [evaluation.nll],
        [evaluation.accuracy] * 2,
        [len],
        [-evaluation.mean_squared_error],
        [None],
    ]
    kind = things(words=("metric",))
    return Kind(st.one_of(st.sampled_from(strange), kind.wrong), kind.words)


def evaluations(world: World) -> Iterator[Call]:
    """Yields the calls."""
    space, split = spaces(*world.objects), splits(world.split, others=world.objects)
    metrics, accuracy = _metrics(world), [evaluation.accuracy]
    mesh = things(optional=True)
    every = {
        "metrics": of(metrics, accuracy),
        "batch": of(counts(1), 4),
        "mesh": of(mesh, None),
        "dtype": of(names("float32", "bfloat16"), "float32"),
    }
    yield call(
        "population",
        evaluation.population,
        space=of(space, world.pruned),
        split=of(split, world.split),
        chunk=of(counts(1, optional=True), None),
        layout=of(names("auto", "one", "apart", "map", "vmap"), "auto"),
        **every,
    )
    yield call(
        "shared",
        evaluation.shared,
        space=of(space, world.switches),
        split=of(split, world.split),
        accelerate=of(flags(), False),
        **every,
    )
    yield call(
        "after",
        evaluation.after,
        fit=of(things(), world.fit),
        split=of(
            Kind(
                st.sampled_from(
                    [
                        world.split,
                        None,
                        world.dataset,
                        data.Split(world.flat.inputs[:, :-1], world.flat.labels),
                        data.Split(world.flat.inputs, world.flat.labels + 5),
                    ]
                ),
                ("inputs", "labels"),
            ),
            world.flat,
        ),
        metrics=of(metrics, accuracy),
        batch=of(counts(1), 4),
    )
    genomes = arrays(
        world.bits,
        finite=False,
        extra=[
            world.bits[0],
            world.bits[:, :-1],
            list(world.bits),
            world.bits.astype(np.float32),
            world.bits.astype(int) * 7,
        ],
    )
    genomes = Kind(genomes.wrong, ("genome",))
    yield call(
        "population",
        lambda params, genomes: world.scored(None, params, genomes),
        params=of(trees(world.pruned.params), world.pruned.params),
        genomes=of(genomes, world.bits),
    )
    ways = np.asarray(stitching.unstitched(world.merged))
    yield call(
        "shared",
        lambda params, genomes: world.shared(None, params, genomes),
        params=of(trees(world.switches.params), world.switches.params),
        genomes=of(
            Kind(
                arrays(
                    ways, finite=False, extra=[ways[0], ways[:, :-1], ways + 99, ways - 9, ways.astype(np.float32)]
                ).wrong,
                ("genome",),
            ),
            ways,
        ),
    )
    yield call(
        "features",
        evaluation.features,
        backbone=of(networks(*world.objects), world.network),
        data=of(splits(world.split, labels=False), world.split),
        folder=of(paths(optional=True, missing=False), None),
        batch=of(counts(1), 4),
        accelerate=of(flags(), True),
        on_device=of(flags(), False),
    )
    yield call(
        "recalibrate",
        evaluation.recalibrate,
        network=of(networks(*world.objects), world.normalised),
        split=of(splits(world.split, labels=False), world.split),
        batch=of(counts(2), 4),
        examples=of(counts(2, optional=True), None),
    )
    yield call(
        "grams",
        evaluation.grams,
        key=of(keys(), world.key),
        features=of(callables(), lambda params, inputs: [inputs, inputs]),
        params={},
        pairs=of(
            Kind(
                st.sampled_from(
                    [None, 3, [3], [(0, 9)], [(0,)], "ab", [(0, -9)], [(0, 1, 2)], [("a", "b")], [(0.5, 1)]]
                )
            ),
            [(0, 1)],
        ),
        split=of(instances(data.Split, others=world.objects), world.split),
        batch=of(counts(1), 4),
        positions=of(counts(1), 8),
        folds=of(counts(2, 12), 2),
        mesh=of(mesh, None),
    )
    yield call(
        "mesh",
        evaluation.mesh,
        devices=of(Kind(st.sampled_from([[], 3, "cpu", ["cpu"], [None], object()])), None),
        data=of(counts(1, 1), 1),
    )


def scores(world: World) -> Iterator[Call]:
    """Yields the calls."""
    scores = np.arange(6.0)
    yield call("ece", evaluation.ece, bins=of(counts(1), 5))
    yield call("top_k", evaluation.top_k, k=of(counts(1), 2))
    yield call("mean_iou", evaluation.mean_iou, classes=of(counts(2), 3))
    yield call("energy", evaluation.energy, temperature=of(numbers(open_low=True), 1.0))
    yield call("odin", evaluation.odin, temperature=of(numbers(open_low=True), 1.0), epsilon=of(numbers(), 0.0))
    yield call(
        "auroc",
        evaluation.auroc,
        others=of(things(), world.split),
        detector=of(callables(optional=True), None),
        name=of(things(lambda value: isinstance(value, str)), "auroc"),
    )
    yield call(
        "roc_area",
        evaluation.roc_area,
        known=of(arrays(scores, ranks=False), scores),
        others=of(arrays(scores, ranks=False), scores),
    )
    yield call("latency", evaluation.latency, batch=of(counts(1), 1), repeats=of(counts(1), 1))
    yield call(
        "latency_ms",
        evaluation.latency_ms,
        network=of(networks(*world.objects), world.network),
        inputs=of(batches(world.split.inputs), world.split.inputs),
        repeats=of(counts(1), 1),
    )
    yield call(
        "frechet",
        evaluation.frechet,
        extractor=of(networks(*world.objects), world.network),
        examples=of(Kind(batches(world.split.inputs).wrong, ("inputs",)), world.split.inputs),
        batch=of(counts(1), 4),
    )
    yield call(
        "Metric",
        evaluation.Metric,
        name="mine",
        larger_is_better=True,
        needs=of(names("outputs", "genome", "answers", "sums", "network"), "genome"),
        measure=of(callables(), lambda space, genome: 0.0),
        reads=of(names("classes", "values", "anything"), "classes"),
    )
