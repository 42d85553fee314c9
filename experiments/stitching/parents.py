"""Networks that are trained from scratch, or on, with checkpoints: the parents, and the front in the end."""

import dataclasses
import functools
import pathlib

import jax
import numpy as np
import optax

from experiments import zoo
from experiments.stitching.presets import Parent, Retraining
from jaxevo import checkpoint, training
from jaxevo.data import Dataset, Split, augment
from jaxevo.network import Network, spec

#: Cross-entropy of labels of which a tenth is spread over all classes.
LOSS = functools.partial(training.cross_entropy, smoothing=0.1)


def parent(key: jax.Array, settings: Parent, dataset: Dataset, batch: int, folder: pathlib.Path) -> Network:
    """Trains a parent, with a checkpoint after each epoch; goes on where the folder holds one.

    Args:
      key: a key.
      settings: which network, and how long it trains.
      dataset: trained on its train split; no other is looked at.
      batch: examples in a step.
      folder: where its checkpoints lie.

    Returns:
      The trained network.
    """
    trainable = zoo.build(settings.family, spec(dataset.train.inputs[:1]), dataset.classes, **settings.sizes)
    steps = settings.epochs * -(-len(dataset.train) // batch)
    optimizer = optax.adamw(optax.cosine_decay_schedule(settings.rate, steps), weight_decay=0.01)
    begin, train = jax.random.split(key)
    member = training.start(begin, trainable, optimizer)
    with checkpoint.Folder(folder) as saved:
        found = saved.restore(member)
        epoch = 0
        if found is not None:
            member, epoch = found.tree, found.step
        update = training.supervised(trainable, LOSS, optimizer)

        def callback(epoch, member, metrics):
            print(f"  {settings.family} epoch {epoch + 1}/{settings.epochs}: loss {metrics['loss']:.3f}", flush=True)
            saved.save(epoch + 1, member)

        member, _ = training.fit(
            train, member, update, dataset.train, epochs=settings.epochs, start_epoch=epoch, batch=batch,
            augment=augmentation(dataset), callback=callback,
        )  # fmt: skip
    return trainable.network(member.params, member.state)


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
        optimizer = optax.adamw(settings.rate, weight_decay=0.01)
        shuffle, train = jax.random.split(key)
        order = np.asarray(jax.random.permutation(shuffle, len(dataset.train)))
        rows = order[: settings.steps * settings.batch]
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
    return dataclasses.replace(network, params=params)


def rows_of(split: Split, rows: np.ndarray) -> Split:
    """Returns some examples of a split."""
    return Split(split.inputs[rows], split.labels[rows])


def augmentation(dataset: Dataset) -> augment.Augment:
    """Returns how pictures are varied: digits are shifted, photographs mirrored as well."""
    side = dataset.train.inputs.shape[1]
    shifted = augment.shift(max(1, side // 8))
    return augment.chain(shifted, augment.flip()) if dataset.name.startswith("photos") else shifted
