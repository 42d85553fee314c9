"""A bounded number of pictures of each split, or of their features, gathered from the stream for the systems.

The systems go over their examples again and again and want them in memory: pictures as arrays, or what a frozen network
makes of them, which is a hundredth of that.
"""

import argparse
import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from experiments.imagenet.log import Progress
from experiments.imagenet.networks import Taken
from experiments.imagenet.reading import ready
from experiments.options import at_least_1
from experiments.parents import rows_of
from jaxevo import checkpoint, data, evaluation, graph
from jaxevo.data import Dataset, Recipe, Source, Split
from jaxevo.network import Network

PARTS = ("train", "valid", "test")


class Splits(NamedTuple):
    """Pictures that were chosen, not read yet.

    name: of the data.
    classes: names of the classes.
    fingerprint: of what was chosen.
    parts: train, valid and test.
    """

    name: str
    classes: tuple[str, ...]
    fingerprint: list[str]
    parts: dict[str, Source | Split]


def identity_of(options: argparse.Namespace, names: Sequence[str], taken: Taken, splits: Splits) -> dict[str, Any]:
    """Returns what makes a run of one network this run.

    Args:
      options: of the command line.
      names: of those that matter, beside batch and seed.
      taken: the network.
      splits: the pictures.
    """
    return {
        **{name: getattr(options, name) for name in (*names, "batch", "seed")},
        "network": options.network[0],
        "parameters": checkpoint.digest(taken.network.params),
        "recipe": dataclasses.asdict(taken.recipe),
        "pictures": splits.fingerprint,
    }


def add_counts(parser: argparse.ArgumentParser, train: int, valid: int, test: int) -> None:
    """Adds the options that say how many pictures of each split are read."""
    for name, count in zip(PARTS, (train, valid, test), strict=True):
        parser.add_argument(
            f"--{name}", metavar="N", type=at_least_1, default=count, help=f"{name} pictures at most (default: {count})"
        )


def choose(options: argparse.Namespace) -> Splits:
    """Draws which pictures of each split a run sees.

    Train and valid come from the training pictures of a published set, disjoint, and test from its validation pictures,
    so that nothing that is reported was searched on. A set with one split is divided into three. The three splits of
    "npz:PATH" stay what they are.

    Args:
      options: data, data_dir, size, seed and the counts.

    Raises:
      SystemExit: where the data are not there or have fewer pictures.
    """
    counts = {name: getattr(options, name) for name in PARTS}
    rng = np.random.default_rng(options.seed)
    try:
        if options.data.startswith("npz:"):
            return _arrays(options, counts, rng)
        test = data.source(options.data, "test", options.data_dir)
        train = _training(options, test)
    except (ValueError, TypeError, ImportError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from None
    alone = train.fingerprint == test.fingerprint
    groups = [(PARTS, train)] if alone else [(PARTS[:2], train), (PARTS[2:], test)]
    for asked, source in groups:
        wanted = sum(counts[name] for name in asked)
        if wanted > len(source):
            raise SystemExit(
                f"--{' and --'.join(asked)} are {wanted} pictures, but {options.data} has {len(source)} for them; "
                "ask for fewer"
            )
    rows = rng.permutation(len(train))
    found = {"train": rows[: counts["train"]], "valid": rows[counts["train"] :][: counts["valid"]]}
    found["test"] = (rows[counts["train"] + counts["valid"] :] if alone else rng.permutation(len(test)))[
        : counts["test"]
    ]
    # In the order in which they lie on disk.
    parts = {name: (test if name == "test" else train).take(np.sort(chosen)) for name, chosen in found.items()}
    return Splits(options.data, train.classes, [parts[name].fingerprint for name in PARTS], dict(parts))


def _training(options: argparse.Namespace, test: Source) -> Source:
    """Returns the pictures to train on: those of test where there is nothing else."""
    try:
        return data.source(options.data, "train", options.data_dir)
    except ValueError:
        print(f"{options.data} has no split to train on; its {len(test):,} pictures are divided", flush=True)
        return test


def _arrays(options: argparse.Namespace, counts: dict[str, int], rng: np.random.Generator) -> Splits:
    dataset = ready(options)
    parts = {}
    for name, count in counts.items():
        split = getattr(dataset, name)
        parts[name] = rows_of(split, np.sort(rng.permutation(len(split))[:count]))
    return Splits(options.data, dataset.classes, [data.fingerprint(dataset)], parts)


def gathered(splits: Splits, recipe: Recipe, options: argparse.Namespace, through: Network | None = None) -> Dataset:
    """Reads the pictures.

    Args:
      splits: which.
      recipe: how they are prepared.
      options: batch, workers and threads.
      through: a network whose outputs are kept in place of the pictures; it runs on the devices of this process.

    Returns:
      The data set, in memory.
    """
    shape = recipe.shape if through is None else _outputs(through)
    total = sum(map(len, splits.parts.values()))
    counted = ", ".join(f"{len(part):,} {name}" for name, part in splits.parts.items())
    what = "pictures" if through is None else f"features of {through.name}"
    print(f"reads {counted} {what} of {splits.name}, {4e-9 * total * np.prod(shape):.2g} GB in memory", flush=True)
    mesh = evaluation.mesh(jax.local_devices(), data=jax.local_device_count())
    batch = -(-options.batch // mesh.shape["data"]) * mesh.shape["data"]
    run = None if through is None else _runner(through, mesh)
    found = {}
    with Progress(total, 0) as shown:
        for name, part in splits.parts.items():
            own = recipe if isinstance(part, Source) else None
            streamed = data.stream(part, own, batch, workers=options.workers, threads=options.threads)
            inputs, labels = np.empty((len(part), *shape), np.float32), np.empty(len(part), np.int32)
            for start, one in zip(itertools.count(0, batch), _through(run, streamed, mesh, batch, own), strict=False):
                count = min(batch, len(part) - start)
                inputs[start : start + count], labels[start : start + count] = (np.asarray(x)[:count] for x in one)
                shown.update(count, "")
            found[name] = Split(inputs, labels)
    return Dataset(splits.name, found["train"], found["valid"], found["test"], splits.classes)


def _through(run, streamed, mesh, batch, recipe):
    """Yields inputs, or what a network makes of them, and labels."""
    ready = data.prefetched(streamed, mesh, batch, recipe=recipe)
    yield from ((one.inputs if run is None else run(one.inputs), one.labels) for one in ready)


def _runner(network: Network, mesh: jax.sharding.Mesh):
    """Returns the network as a function of batches whose rows lie on the mesh."""
    fast = graph.accelerate(network, mesh.devices.flat[0].platform)
    compiled = jax.jit(
        jax.shard_map(fast.apply, mesh=mesh, in_specs=(P(), P("data")), out_specs=P("data"), check_vma=False)
    )
    params = jax.device_put(network.params, NamedSharding(mesh, P()))
    return lambda inputs: compiled(params, inputs)


def _outputs(network: Network) -> tuple[int, ...]:
    """Returns the shape of what a network gives for one picture."""
    batch = jax.ShapeDtypeStruct((2, *network.inputs.shape), network.inputs.dtype)
    return jax.eval_shape(network.apply, network.params, batch).shape[1:]
