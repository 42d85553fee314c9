"""Calls of `jaxevo.pbt`."""

from collections.abc import Iterator

from hypothesis import strategies as st

import jaxevo
from jaxevo import pbt
from tests.faults import wrong
from tests.faults.calls.making import Call, call, of
from tests.faults.world import Small, World
from tests.faults.wrong import Kind, counts, instances, names, numbers, things


def mixtures(world: World) -> Iterator[Call]:
    """Yields the calls."""
    architecture = instances(pbt.Architecture, others=world.objects)
    share = numbers(0, 1)
    settings = {"shrink": of(numbers(), 0.4), "perturb": of(numbers(), 0.1), "probability": of(share, 0.25)}
    yield call("layers", pbt.layers, architecture=of(architecture, world.architecture), **settings)
    yield call("mixture", pbt.mixture, architecture=of(architecture, world.architecture), **settings)
    yield call("mutation", pbt.mutation, architecture=of(architecture, world.architecture))
    yield call("game", pbt.game, architecture=of(architecture, world.adversaries))
    layer = pbt.Dense("logits", 2, (3,), activations=("identity", "relu"))
    layers = Kind(st.sampled_from([None, [], 3, "ab", [3], layer, ["dense"], [layer, layer], [Small()]]))
    right = list(world.architecture.layers)
    shape = jaxevo.spec(world.split.inputs[:1])
    yield call(
        "chain",
        pbt.chain,
        layers=of(layers, right),
        inputs=of(Kind(st.sampled_from([None, 3, "HWC", world.split, (6, 5, 2), {}, []])), shape),
        name="chain",
        output=of(names("logits", "probabilities", "values"), "logits"),
        classes=of(wrong.class_names(counted=False), None),
        convention=of(instances(jaxevo.Convention, optional=True), None),
    )
    yield call(
        "in_a_row", pbt.in_a_row, layers=of(Kind(layers.wrong.filter(lambda value: value != [layer, layer])), right)
    )
    operations = tuple(pbt.OPERATIONS)
    several = Kind(st.sampled_from([(), "conv3", ("conv33",), (3,), None, 3, ("conv3", "conv3")]))
    widths = Kind(st.sampled_from([(), (0,), (-4,), (2.5,), "ab", None, 4, ("a",), (True,)]))
    yield call(
        "Convolution",
        pbt.Convolution,
        name="c",
        reads=of(counts(1), 2),
        operations=of(several, operations[-1:]),
        widths=of(widths, (4,)),
        activations=of(Kind(st.sampled_from([(), "relu", ("rellu",), (3,), None, 3])), ("relu",)),
        stride=of(counts(1), 1),
    )
    yield call("Dense", pbt.Dense, name="d", reads=of(counts(1), 4), widths=of(widths, (3,)))
    yield call(
        "lineage", pbt.lineage, history=of(Kind(st.sampled_from([None, 3, "ab", [{}], [3], [{"numbers": []}], {}])), [])
    )
    descent = pbt.Descent(0, 1, 1, None, None, (), None, False, (0.5,))
    yield call(
        "origins",
        pbt.origins,
        descents=of(Kind(st.sampled_from([None, [], 3, "ab", [3], [{}]]), ("number",)), [descent]),
        number=of(counts(0, 0), 0),
        units=of(things(lambda value: isinstance(value, list | tuple | dict), words=()), ("a",)),
    )
