"""Calls of `jaxevo.data`."""

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from jaxevo import data
from tests.faults import wrong
from tests.faults.calls.making import Call, call, of
from tests.faults.world import World
from tests.faults.wrong import Kind, counts, instances, keys, names, numbers, things


def examples(world: World) -> Iterator[Call]:
    """Yields the calls."""
    inputs, labels = world.split.inputs, world.split.labels
    pixels = np.clip(inputs * 40 + 128, 0, 255).astype(np.uint8)
    broken = inputs.copy()
    broken[3, 0, 0, 0] = np.nan
    pair = Kind(
        st.one_of(
            st.sampled_from(
                [
                    (inputs, labels[:-1]),
                    (pixels, labels),
                    (broken, labels),
                    (inputs, labels - 9),
                    (inputs, None),
                    (None, labels),
                    (inputs,),
                    inputs,
                    (inputs, labels, labels),
                    (inputs[:0], labels[:0]),
                    (inputs[:, 0, 0, 0], labels),
                    (inputs, labels.astype(str)),
                    (labels, inputs),
                    "digits",
                    (np.moveaxis(inputs, -1, 1), labels),
                ]
            ),
            things().wrong,
        ),
        ("inputs", "labels"),
    )
    good = (inputs, labels)
    # Of the first split, another layout is no mistake: nothing says yet what pictures are like.
    first = Kind(
        pair.wrong.filter(lambda value: not (isinstance(value, tuple) and np.shape(value[0]) == (12, 2, 6, 5))),
        (*pair.words, "valid"),
    )
    yield call(
        "arrays",
        data.arrays,
        train=of(first, good),
        valid=of(pair, good),
        test=of(pair, good),
        classes=of(Kind(st.sampled_from(["abc", ["a"], [1, 2, 3], 3, [None], wrong.function, 2.5])), None),
        name=of(things(lambda value: isinstance(value, str)), "mine"),
    )
    loadable = ("digits", "mnist5k", "photos", "npz")
    yield call(
        "load",
        data.load,
        name=of(
            Kind(
                st.one_of(
                    names(*loadable).wrong,
                    st.sampled_from(
                        [
                            "digits:pixel",
                            "photos:sise=8",
                            "photos:size=x",
                            "photos:size=-3",
                            "npz:",
                            "npz:/nowhere/x.npz",
                            "digits:3",
                        ]
                    ),
                ),
                ("setting", "load", "size"),
            ),
            "digits",
        ),
    )
    yield call(
        "photos",
        data.photos,
        size=of(counts(4), 8),
        per_class=of(counts(3), 3),
        noise=of(numbers(), 0.0),
        blur=of(numbers(), 0.0),
    )
    split = instances(data.Split, others=world.objects)
    yield call(
        "batches", data.batches, split=of(split, world.split), size=of(counts(1), 4), key=of(keys(optional=True), None)
    )
    yield call(
        "fingerprint", data.fingerprint, dataset=of(instances(data.Dataset, others=world.objects), world.dataset)
    )
    yield call("shift", data.augment.shift, pixels=of(counts(0), 1))
    yield call(
        "chain",
        lambda augments: data.augment.chain(augments),
        augments=of(instances(data.augment.Augment, words=("Augment",)), data.augment.flip()),
    )
