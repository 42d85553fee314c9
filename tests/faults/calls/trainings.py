"""Calls of `jaxevo.training`."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
from hypothesis import strategies as st

from jaxevo import data, training
from jaxevo.network import Member, Trainable
from jaxevo.space import Space
from tests.faults import wrong
from tests.faults.calls.making import Call, call, of
from tests.faults.world import World
from tests.faults.wrong import Kind, callables, counts, flags, instances, keys, names, networks, numbers, splits, things


def trainings(world: World) -> Iterator[Call]:
    """Yields the calls."""
    trainable, optimizer = instances(Trainable, others=world.objects), things()
    split = splits(world.split, others=world.objects)
    layout = names("steps", "scan", optional=True)
    yield call(
        "start",
        training.start,
        key=of(keys(), world.key),
        trainable=of(trainable, world.trainable),
        optimizer=of(optimizer, world.optimizer),
    )
    yield call(
        "supervised",
        training.supervised,
        trainable=of(trainable, world.trainable),
        loss=of(callables(), training.cross_entropy),
        optimizer=of(optimizer, world.optimizer),
    )
    yield call(
        "learner",
        training.learner,
        space=of(instances(Space, Trainable, others=world.objects), world.heads),
        loss=of(callables(), training.cross_entropy),
        optimizer=of(optimizer, world.optimizer),
    )
    yield call(
        "fit",
        training.fit,
        key=of(keys(), world.key),
        member=of(instances(Member, others=world.objects), world.member),
        update=of(callables(), world.update),
        split=of(instances(data.Split, others=world.objects), world.split),
        epochs=of(counts(0), 1),
        batch=of(counts(1, 12), 4),
        augment=of(callables(optional=True), None),
        callback=of(callables(optional=True), None),
        start_epoch=of(Kind(counts(0, 1).wrong, ("epochs",)), 0),
        score=of(callables(optional=True), lambda member: 0.0),
        patience=of(counts(1, optional=True), None),
        layout=of(layout, None),
    )
    flat = Kind(
        st.one_of(
            st.sampled_from(
                [
                    world.split,
                    world.dataset,
                    (world.flat.inputs, world.flat.labels),
                    data.Split(world.flat.inputs[:, :-1], world.flat.labels),
                ]
            ),
            wrong.THINGS,
        ),
        ("inputs", "split", "valid"),
    )
    yield call(
        "population",
        training.population,
        space=of(instances(Space, Trainable, others=world.objects), world.heads),
        learner=of(things(), world.learner),
        split=of(flat, world.flat),
        epochs=of(counts(1), 1),
        batch=of(counts(1, 12), 4),
        valid=of(flat, world.flat),
        patience=of(counts(1, optional=True), 2),
        augment=of(callables(optional=True), None),
        layout=of(names("auto", "abreast", "scan", "steps"), "auto"),
        compact=of(flags(optional=True), None),
        chunk=of(counts(1), 2),
        threads=of(counts(1, optional=True), None),
        mesh=of(things(optional=True), None),
    )
    yield call(
        "freeze",
        training.freeze,
        network=of(networks(*world.objects), world.network),
        member=of(
            Kind(
                st.one_of(
                    instances(Member).wrong,
                    st.sampled_from([world.member._replace(params={}), world.member._replace(params=None)]),
                )
            ),
            world.member,
        ),
    )
    game = training.Game(len, len, ("a",), ("b",), jax.ShapeDtypeStruct((2,), jnp.float32), 3)
    yield call(
        "adversarial",
        training.adversarial,
        game=of(things(), game),
        optimizer=of(optimizer, world.optimizer),
        loss=of(names("hinge", "logistic"), "hinge"),
        ratio=of(counts(1), 1),
        multiplier=of(counts(1), 1),
        average=of(numbers(0, 1, open_high=True), 0.9),
    )
    del split
