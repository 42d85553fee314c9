"""The two parents: trained from scratch, or restored where they were."""

import functools
import pathlib

import jax
import optax

from experiments import zoo
from experiments.stitching.presets import Parent
from jaxevo import checkpoint, training
from jaxevo.data import Dataset, augment
from jaxevo.network import Network, spec


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
        loss = functools.partial(training.cross_entropy, smoothing=0.1)
        update = training.supervised(trainable, loss, optimizer)

        def callback(epoch, member, metrics):
            print(f"  {settings.family} epoch {epoch + 1}/{settings.epochs}: loss {metrics['loss']:.3f}", flush=True)
            saved.save(epoch + 1, member)

        member, _ = training.fit(
            train, member, update, dataset.train, epochs=settings.epochs, start_epoch=epoch, batch=batch,
            augment=augment.chain(augment.shift(4), augment.flip()), callback=callback,
        )  # fmt: skip
    return trainable.network(member.params, member.state)
