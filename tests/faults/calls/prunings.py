"""Calls of `jaxevo.pruning`."""

from collections.abc import Iterator

import jax
import numpy as np
from hypothesis import strategies as st

from jaxevo import pruning, training
from tests.faults import wrong
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
    spaces,
    splits,
    things,
    trees,
)


def prunings(world: World) -> Iterator[Call]:
    """Yields the calls."""
    network, space = networks(*world.objects), spaces(*world.objects, world.mutated)
    scores = pruning.magnitude(world.pruned)
    scored = arrays(scores, extra=[scores[:-1], 3])
    at = Kind(
        st.one_of(
            names("Conv_0", "Conv_1").wrong.filter(lambda value: value != "pool"),
            st.sampled_from(
                [world.graphs[1].cuts[0]._replace(name="x") if hasattr(world.graphs[1].cuts[0], "_replace") else 3]
            ),
        )
    )
    yield call(
        "channels",
        pruning.channels,
        network=of(network, world.network),
        kinds=of(Kind(st.sampled_from(["channel", ("chanel",), (), None, 3, (3,), ("channel", "x")])), ("channel",)),
        prune=of(callables(optional=True), None),
        multiple=of(counts(1), 1),
        mutation=of(numbers(0, 1, optional=True), None),
    )
    yield call("groups", pruning.groups, network=of(network, world.network))
    yield call("split", pruning.split, network=of(network, world.network), at=of(at, "Conv_0"))
    yield call(
        "join",
        pruning.join,
        backbone=of(network, world.network),
        rest=of(
            networks(world.network, *world.objects[1:]),
            pruning.head(3, 2, (4,)).network(*jax.eval_shape(pruning.head(3, 2, (4,)).init, world.key)),
        ),
    )
    yield call("magnitude", pruning.magnitude, space=of(Kind(space.wrong, space.words), world.pruned))
    yield call("random_scores", pruning.random_scores, key=of(keys(), world.key), space=of(space, world.pruned))
    yield call(
        "keep",
        pruning.keep,
        space=of(space, world.pruned),
        scores=of(scored, scores),
        share=of(numbers(0, 1, open_low=True), 0.5),
        across=of(flags(), False),
    )
    yield call(
        "thin",
        pruning.thin,
        space=of(space, world.pruned),
        scores=of(scored, scores),
        multiply_adds=of(numbers(0, 1, open_low=True, open_high=True), 0.9),
    )
    yield call(
        "taylor",
        pruning.taylor,
        space=of(space, world.pruned),
        split=of(splits(world.split), world.split),
        loss=of(callables(), training.cross_entropy),
        batch=of(counts(1), 4),
        examples=of(counts(1, optional=True), None),
    )
    yield call(
        "grad_cam",
        pruning.grad_cam,
        network=of(network, world.network),
        inputs=of(batches(world.split.inputs), world.split.inputs),
        at=of(at, "Conv_0"),
        units=of(Kind(st.sampled_from([[], [99], [-1], 0, "ab", [0.5], None, [[0]], ["a"]])), [0]),
        of=None,
    )
    maps = np.ones((1, 2, 2), np.float32)
    yield call(
        "enlarge",
        pruning.enlarge,
        maps=of(Kind(st.sampled_from([None, 3, "x", np.zeros(3), object(), maps.astype(str)])), maps),
        size=of(Kind(st.sampled_from([None, 4, (4,), (0, 4), (-1, 4), ("a", "b"), (4, 4, 4), (2.5, 4), "ab"])), (4, 4)),
    )
    yield call(
        "frequency",
        pruning.frequency,
        genomes=of(arrays(world.bits, finite=False, extra=[world.bits[0], world.bits.astype(int), 3]), world.bits),
    )
    accuracy = np.linspace(0, 1, 8)
    yield call(
        "accuracy_bins",
        pruning.accuracy_bins,
        accuracy=of(Kind(arrays(accuracy, extra=[3]).wrong, ("bins",)), accuracy),
        bins=of(counts(1, 8), 4),
    )


def heads(world: World) -> Iterator[Call]:
    """Yields the calls."""
    head = instances(pruning.Head, others=world.objects)
    begun = Kind(trees(world.network.params).wrong.filter(lambda value: value is not None))
    settings = {
        "mutation": of(numbers(0, 1, optional=True), None),
        "multiple": of(counts(1), 1),
        "start": of(begun, None),
    }
    yield call(
        "head",
        pruning.head,
        features=of(counts(1), 4),
        classes=of(Kind(st.sampled_from([0, -1, 2.5, None, True, [1, 2], "abc", object(), [], wrong.function])), 3),
        hidden=of(Kind(st.sampled_from([(), 4, (0,), (-4,), (2.5,), "ab", None, ("a",), object()])), (4,)),
        name=of(things(lambda value: isinstance(value, str)), "head"),
    )
    yield call(
        "neurons",
        pruning.neurons,
        head=of(head, world.head),
        prune=of(names("hidden", "features", "all"), "hidden"),
        **settings,
    )
    yield call("connections", pruning.connections, head=of(head, world.head), **settings)
