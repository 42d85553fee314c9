"""Calls of `jaxevo.graph`."""

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

import jaxevo
from jaxevo import graph
from jaxevo.graph import NetworkGraph
from tests.faults.calls.making import Call, call, of
from tests.faults.world import World
from tests.faults.wrong import Kind, arrays, callables, flags, instances, names, networks, things, trees


def graphs(world: World) -> Iterator[Call]:
    """Yields the calls."""
    first = world.graphs[0]
    traced = instances(NetworkGraph, others=world.objects)
    network = networks(*world.objects)
    values = Kind(
        st.one_of(
            things(lambda value: isinstance(value, list) and not value).wrong,
            st.sampled_from([(-5,), (10**6,), ("a",), (None,), (2.5,)]),
        ),
        ("value",),
    )
    cut = first.cuts[0].value
    yield call("trace", jaxevo.trace, network=of(network, world.network))
    yield call("fold", graph.fold, network=of(network, world.network))
    yield call(
        "accelerate",
        graph.accelerate,
        network=of(network, world.network),
        platform=of(names("cpu", "gpu", "tpu", optional=True), None),
    )
    yield call(
        "accelerated",
        graph.accelerated,
        function=of(callables(), world.network.apply),
        platform=of(names("cpu", "gpu", "tpu", optional=True), None),
    )
    yield call("draw", graph.draw, graph=of(traced, first))
    yield call("batch_normalisations", graph.batch_normalisations, graph=of(traced, first))
    yield call("divide", graph.divide, graph=of(traced, first), values=of(values, (cut,)))
    yield call("flows", graph.flows, graph=of(traced, first), values=of(values, (cut,)))
    yield call(
        "piece", graph.piece, graph=of(traced, first), reads=of(values, first.program.inputs), writes=of(values, (cut,))
    )
    merged = world.merged
    genome = np.zeros(len(merged.graph.options), np.int32)
    yield call(
        "extract",
        graph.extract,
        graph=of(instances(graph.SwitchGraph, others=world.objects), merged.graph),
        params=of(trees(merged.params), merged.params),
        genome=of(arrays(genome, finite=False, extra=[genome + 99, genome[:-1], genome - 5]), genome),
        like=of(network, world.network),
        merge=of(flags(), True),
    )
