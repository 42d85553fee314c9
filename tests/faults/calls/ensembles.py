"""Calls of `jaxevo.ensemble`."""

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from jaxevo import ensemble, evaluation
from tests.faults.calls.making import Call, call, of
from tests.faults.world import World
from tests.faults.wrong import Kind, arrays, counts, instances, names, splits, things


def ensembles(world: World) -> Iterator[Call]:
    """Yields the calls."""
    said, labels = world.said, world.split.labels
    shapes = [said * 40 - 9, said[0], said[..., 0], 3]
    probabilities = Kind(arrays(said, extra=shapes).wrong.filter(lambda value: np.ndim(value) != 4), ("labels",))
    # A member that says NaN is never chosen.
    finite = arrays(said, finite=False, extra=shapes).wrong.filter(lambda value: np.ndim(value) != 4)
    classes = arrays(
        labels, finite=False, extra=[labels + 9, labels - 9, labels.astype(np.float32), labels[:-1], said[0]]
    )
    yield call(
        "greedy",
        ensemble.greedy,
        probabilities=of(Kind(finite, ("labels",)), said),
        labels=of(classes, labels),
        size=of(counts(1), 2),
        metric=of(names("nll", "accuracy"), "nll"),
    )
    yield call(
        "report",
        ensemble.report,
        probabilities=of(probabilities, said),
        labels=of(classes, labels),
        bins=of(counts(1), 5),
    )
    for name in ("disagreement", "pairwise_kl"):
        yield call(name, getattr(ensemble, name), probabilities=of(probabilities, said))
    yield call(
        "q_statistic",
        ensemble.q_statistic,
        probabilities=of(probabilities, said),
        labels=of(classes, labels),
    )
    yield call(
        "mean_over_pairs",
        ensemble.mean_over_pairs,
        matrix=of(arrays(np.eye(3), finite=False, extra=[np.eye(1), np.zeros((2, 3)), 3]), np.eye(3)),
    )
    several = Kind(st.one_of(things().wrong, st.sampled_from([[], world.network, [world.graphs[0]], [None], "ab"])))
    yield call(
        "predict",
        ensemble.predict,
        networks=of(several, [world.network]),
        split=of(splits(world.split, labels=False), world.split),
        batch=of(counts(1), 4),
    )
    both = [world.network, world.network]
    mixed = Kind(st.one_of(several.wrong, st.just([world.network, world.other])))
    yield call("average", ensemble.average, networks=of(mixed, both))
    yield call(
        "greedy_average",
        ensemble.greedy_average,
        networks=of(several, both),
        split=of(splits(world.split), world.split),
        metric=of(instances(evaluation.Metric, others=[evaluation.nll, *world.objects[:4]]), evaluation.accuracy),
        batch=of(counts(1), 4),
    )
    yield call(
        "vote",
        ensemble.vote,
        networks=of(several, both),
        weights=of(
            Kind(
                st.sampled_from(
                    [
                        [1.0],
                        [-1.0, 2.0],
                        [0.0, 0.0],
                        [np.nan, 1.0],
                        "ab",
                        3.0,
                        [[1.0, 1.0]],
                        {},
                        [None, 1.0],
                        ["a", "b"],
                    ]
                )
            ),
            None,
        ),
    )
