"""A task that small heads learn in a few epochs: three classes, each shifted along an axis of its own."""

import numpy as np

from jaxevo.data import Split

FEATURES, CLASSES = 24, 3


def split(count, seed=0, shift=2.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count).astype(np.int32)
    inputs = rng.normal(size=(count, FEATURES)) + shift * np.eye(FEATURES)[labels]
    return Split(inputs.astype(np.float32), labels)


TRAIN, VALID, STRANGE = split(48), split(40, seed=1), split(30, seed=2, shift=0.0)
