"""Members of a front that are trained on in the end."""

import dataclasses
import pathlib

import jax
import numpy as np

from experiments.parents import LOSS, adamw, augmentation, rows_of
from experiments.stitching.presets import Retraining
from jaxevo import checkpoint, stopping, training
from jaxevo.data import Dataset
from jaxevo.network import Network


def retrained(
    key: jax.Array, network: Network, settings: Retraining, dataset: Dataset, folder: pathlib.Path
) -> Network:
    """Trains a network on, or restores it where that was done.

    Args:
      key: a key.
      network: any network.
      settings: how.
      dataset: trained on its train split; no other is looked at.
      folder: where the result lies.

    Returns:
      The network with other parameters.
    """
    if folder.exists():
        params, _ = checkpoint.read(folder, network.params)
    else:
        trainable = training.as_trainable(network)
        shuffle, train = jax.random.split(key)
        order = np.asarray(jax.random.permutation(shuffle, len(dataset.train)))
        rows = order[: None if settings.steps is None else settings.steps * settings.batch]
        optimizer = adamw(settings.rate, settings.epochs, len(rows), settings.batch, anneal=settings.anneal)
        member, _ = training.fit(
            train,
            training.start(key, trainable, optimizer),
            training.supervised(trainable, LOSS, optimizer),
            rows_of(dataset.train, rows),
            epochs=settings.epochs,
            batch=settings.batch,
            augment=augmentation(dataset),
        )
        params = training.freeze(network, member).params
        checkpoint.write(folder, params, {})
        stopping.here()
    return dataclasses.replace(network, params=params)
