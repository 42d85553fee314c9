"""Networks of the zoo that are trained from scratch, with checkpoints: the parents of experiments."""

import dataclasses
import functools
import pathlib
from typing import Any

import jax
import numpy as np
import optax

from experiments import zoo
from jaxevo import checkpoint, pruning, stopping, trace, training
from jaxevo.data import Dataset, Split, augment
from jaxevo.network import Network, spec

#: Share of each label that is spread over all classes where nothing else is said.
SMOOTHING = 0.1
LOSS = functools.partial(training.cross_entropy, smoothing=SMOOTHING)


@dataclasses.dataclass(frozen=True)
class Parent:
    """A parent and how it is trained.

    family: its family in the zoo, or one of its named sizes.
    sizes: its sizes.
    epochs, rate: of AdamW.
    smoothing: share of each label that is spread over all classes.
    anneal: whether the rate falls to 0, as a cosine; else it stays.
    """

    family: str
    sizes: dict[str, Any]
    epochs: int
    rate: float
    smoothing: float = SMOOTHING
    anneal: bool = True


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
    optimizer = adamw(settings.rate, settings.epochs, len(dataset.train), batch, anneal=settings.anneal)
    begin, train = jax.random.split(key)
    member = training.start(begin, trainable, optimizer)
    with checkpoint.Folder(folder) as saved:
        found = saved.restore(member)
        epoch = 0
        if found is not None:
            member, epoch = found.tree, found.step
        loss = functools.partial(training.cross_entropy, smoothing=settings.smoothing)
        update = training.supervised(trainable, loss, optimizer)

        def callback(epoch, member, metrics):
            print(f"  {settings.family} epoch {epoch + 1}/{settings.epochs}: loss {metrics['loss']:.3f}", flush=True)
            saved.save(epoch + 1, member)
            stopping.here()

        member, _ = training.fit(
            train, member, update, dataset.train, epochs=settings.epochs, start_epoch=epoch, batch=batch,
            augment=augmentation(dataset), callback=callback,
        )  # fmt: skip
    return trainable.network(member.params, member.state)


def adamw(rate: float, epochs: int, examples: int, batch: int, *, anneal: bool) -> optax.GradientTransformation:
    """Returns AdamW for so many epochs, with a rate that stays or falls to 0 as a cosine."""
    steps = epochs * -(-examples // batch)
    return optax.adamw(optax.cosine_decay_schedule(rate, steps) if anneal else rate, weight_decay=0.01)


def extractor(network: Network) -> Network:
    """Returns a network of the zoo without the layer that gives the logits."""
    graph = trace(network)
    pooled = [cut for cut in graph.cuts if cut.value not in graph.program.outputs][-1]
    return pruning.split(network, pooled)[0]


def rows_of(split: Split, rows: np.ndarray | slice) -> Split:
    """Returns some examples of a split."""
    return Split(split.inputs[rows], split.labels[rows])


def augmentation(dataset: Dataset) -> augment.Augment:
    """Returns how pictures are varied: digits are shifted, photographs mirrored as well."""
    side = dataset.train.inputs.shape[1]
    shifted = augment.shift(max(1, side // 8))
    return augment.chain(shifted, augment.flip()) if dataset.name.startswith("photos") else shifted
