"""Calls of `jaxevo.transfer`."""

from collections.abc import Iterator

from hypothesis import strategies as st

from jaxevo import transfer
from jaxevo.graph import NetworkGraph
from jaxevo.network import Network, Trainable
from tests.faults.calls.making import Call, call, of
from tests.faults.world import World
from tests.faults.wrong import Kind, callables, flags, instances, keys, numbers, things, trees


def transfers(world: World) -> Iterator[Call]:
    """Yields the calls."""
    side = things(lambda value: isinstance(value, Network | Trainable | NetworkGraph))
    alignment = instances(transfer.Alignment, others=world.objects)
    guard = numbers(0, 1)
    yield call(
        "align",
        transfer.align,
        source=of(side, world.network),
        target=of(side, world.other),
        match=of(callables(), transfer.by_blocks),
    )
    for name in ("similarity", "coverage"):
        yield call(name, getattr(transfer, name), source=of(side, world.network), target=of(side, world.other))
    several = Kind(
        st.one_of(things().wrong, st.sampled_from([[], world.network, [world.network, None], "ab", [3]])), ("source",)
    )
    yield call("rank", transfer.rank, sources=of(several, [world.network]), target=of(side, world.other))
    yield call(
        "copy_weights",
        transfer.copy_weights,
        alignment=of(alignment, world.alignment),
        source_params=of(trees(world.network.params), world.network.params),
        target_params=of(trees(world.other.params), world.other.params),
        transform=of(callables(), transfer.preserve),
        guard=of(guard, 0.3),
        bridge=of(flags(), True),
        inertia=of(numbers(1, 1000), 1.0),
    )
    yield call(
        "report",
        transfer.report,
        alignment=of(alignment, world.alignment),
        guard=of(guard, 0.3),
        bridge=of(flags(), True),
        inertia=of(numbers(1, 1000), 1.0),
    )
    yield call("draw", transfer.draw, alignment=of(alignment, world.alignment), axes=of(things(optional=True), None))
    yield call("blocks", transfer.blocks, graph=of(instances(NetworkGraph, others=world.objects), world.graphs[0]))
    yield call("random_match", transfer.random_match, key=of(keys(), world.key))
