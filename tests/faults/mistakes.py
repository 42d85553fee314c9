"""The mistakes that people make, one by one, and what the message about each must name."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

import jax
import numpy as np

import jaxevo
from jaxevo import data, ensemble, evaluation, pbt, pruning, search, stitching, subspace, training, transfer
from tests.faults.world import World


class Mistake(NamedTuple):
    """A mistake.

    name: what was done wrong.
    make: makes it.
    words: what the message must hold: the argument, and where a name is misspelt the one that was meant.
    """

    name: str
    make: Callable[[World], Any]
    words: tuple[str, ...]


def _broken(tree: Any) -> Any:
    """Returns parameters with one NaN."""
    leaves, structure = jax.tree.flatten(tree)
    last = np.array(leaves[-1], np.float32)
    last.reshape(-1)[0] = np.nan
    return jax.tree.unflatten(structure, [*leaves[:-1], last])


def _sick(world: World) -> jaxevo.Network:
    return dataclasses.replace(world.network, name="sick", params=_broken(world.network.params))


def _with(world: World, inputs: Any = None, labels: Any = None) -> data.Split:
    split = world.split
    return data.Split(split.inputs if inputs is None else inputs, split.labels if labels is None else labels)


def _scored(world: World, split: Any) -> Any:
    return evaluation.population(world.pruned, split, [evaluation.accuracy])


def _poor(make: Callable[[], Any]) -> Any:
    """Makes something on a machine with a few bytes left."""
    with mock.patch("jaxevo.evaluation.memory.available_bytes", return_value=2**8):
        return make()


def _named(world: World, **changed: Any) -> Any:
    settings = {"operations": ("conv3",), "widths": (4,), "activations": ("relu",)} | changed
    return pbt.Convolution("c", 2, settings.pop("operations"), **settings)


MISTAKES = (
    # Shapes and kinds of inputs.
    Mistake("a picture for a batch of pictures", lambda w: w.network(w.split.inputs[0]), ("inputs",)),
    Mistake("channels first for channels last", lambda w: w.network(np.moveaxis(w.split.inputs, -1, 1)), ("inputs",)),
    Mistake("channels first in splits", lambda w: _scored(w, _with(w, np.moveaxis(w.split.inputs, 3, 1))), ("inputs",)),
    Mistake("pictures of another size", lambda w: _scored(w, _with(w, w.split.inputs[:, :-1])), ("inputs",)),
    Mistake("flattened pictures", lambda w: evaluation.features(w.network, _with(w, w.flat.inputs)), ("inputs",)),
    Mistake("bytes for floats", lambda w: w.network(w.split.inputs.astype(np.uint8)), ("inputs", "divide by 255")),
    Mistake("bytes in a split", lambda w: _scored(w, _with(w, w.split.inputs.astype(np.uint8))), ("inputs",)),
    Mistake(
        "bytes in a data set",
        lambda w: data.arrays(*[(w.split.inputs.astype(np.uint8), w.split.labels)] * 3), ("train inputs",),
    ),
    Mistake("no pictures", lambda w: _scored(w, _with(w, w.split.inputs[:0], w.split.labels[:0])), ("inputs",)),
    Mistake(
        "a NaN among the pictures",
        lambda w: data.arrays(*[(_broken(w.split.inputs), w.split.labels)] * 3), ("train inputs", "example 0"),
    ),
    Mistake("an array for a split", lambda w: _scored(w, (w.split.inputs, w.split.labels)), ("split",)),
    Mistake("a data set for a split", lambda w: _scored(w, w.dataset), ("split",)),
    # Labels.
    Mistake("labels from 1", lambda w: _scored(w, _with(w, labels=w.split.labels + 1)), ("labels",)),
    Mistake("labels below 0", lambda w: _scored(w, _with(w, labels=w.split.labels - 1)), ("labels",)),
    Mistake("one-hot labels", lambda w: _scored(w, _with(w, labels=np.eye(3, dtype=int)[w.split.labels])), ("labels",)),
    Mistake("labels as floats", lambda w: _scored(w, _with(w, labels=w.split.labels * 1.0)), ("labels",)),
    Mistake("fewer labels than pictures", lambda w: _scored(w, _with(w, labels=w.split.labels[:5])), ("labels",)),
    Mistake("too few names of classes", lambda w: data.arrays(*[w.split] * 3, classes=("a",)), ("classes",)),
    # Weights that are not numbers.
    Mistake("NaN weights, to be stitched", lambda w: stitching.match(jaxevo.trace(_sick(w)), w.graphs[1]), ("params",)),
    Mistake("NaN weights, to be mutated", lambda w: subspace.partition(_sick(w), 4, 0.1), ("parent", "params")),
    Mistake("NaN weights, to be pruned", lambda w: pruning.channels(_sick(w)), ("network", "params")),
    Mistake("NaN weights, to be transferred",
            lambda w: transfer.copy_weights(w.alignment, _sick(w).params, w.other.params), ("source_params",)),
    Mistake("NaN weights, of a backbone", lambda w: evaluation.features(_sick(w), w.split), ("backbone", "params")),
    Mistake("NaN weights, to be averaged", lambda w: ensemble.average([w.network, _sick(w)]), ("networks", "params")),
    Mistake("NaN for a share of the vote", lambda w: ensemble.vote([w.network] * 2, [1.0, np.nan]), ("weights",)),
    # Sizes of populations, densities, strengths.
    Mistake("an empty population", lambda w: search.nsga2(w.pruned, 0), ("population",)),
    Mistake("no genomes", lambda w: w.scored(None, w.pruned.params, w.bits[:0]), ("genomes",)),
    Mistake("one genome for a population", lambda w: w.scored(None, w.pruned.params, w.bits[0]), ("genomes",)),
    Mistake("an odd population in pairs",
            lambda w: search.evolution_strategy(w.vectors, 5, 0.1, w.optimizer), ("population", "even")),
    Mistake("no generations",
            lambda w: search.run(w.key, w.strategy, w.scored, 0, progress=False), ("generations",)),
    Mistake("a density of zero", lambda w: subspace.sparse(w.network, 0.0, 0.1), ("density",)),
    Mistake("percent for a share", lambda w: pruning.keep(w.pruned, pruning.magnitude(w.pruned), 50), ("share",)),
    Mistake("a negative sigma", lambda w: subspace.partition(w.network, 4, -0.1), ("sigma",)),
    Mistake("more subspaces than weights", lambda w: subspace.partition(w.network, 10**7, 0.1), ("subspaces",)),
    Mistake("a batch larger than the split",
            lambda w: training.fit(w.key, w.member, w.update, w.split, epochs=1, batch=99), ("batch",)),
    # Paths and names.
    Mistake("a path that names nothing", lambda w: data.load("npz:/nowhere/data.npz"), ("npz:PATH",)),
    Mistake("a path for a network", lambda w: jaxevo.trace("resnet50.onnx"), ("network",)),
    Mistake("a number for a checkpoint",
            lambda w: search.run(w.key, w.strategy, w.scored, 1, checkpoint=3, progress=False), ("checkpoint",)),
    Mistake("a misspelt data set", lambda w: data.load("digit"), ("name", "'digits'")),
    Mistake("a misspelt setting", lambda w: data.load("photos:sise=8"), ("setting", "'size'")),
    Mistake("a misspelt layer", lambda w: pruning.split(w.network, "Conv0"), ("at", "'Conv_0'")),
    Mistake("a misspelt strategy", lambda w: search.evosax("CMAES", w.vectors, 4), ("algorithm", "'CMA_ES'")),
    Mistake("a misspelt linkage", lambda w: search.gomea(w.switches, 8, linkage="tre"), ("linkage", "'tree'")),
    Mistake("a misspelt granularity",
            lambda w: subspace.partition(w.network, 4, 0.1, granularity="neurons"), ("granularity", "'neuron'")),
    Mistake("a misspelt kind", lambda w: pruning.channels(w.network, kinds=("chanel",)), ("kinds", "'channel'")),
    Mistake("a misspelt operation", lambda w: _named(w, operations=("cnov3",)), ("operations", "'conv3'")),
    Mistake("a misspelt activation", lambda w: _named(w, activations=("rellu",)), ("activations", "'relu'")),
    Mistake("a name for a list of names", lambda w: pruning.channels(w.network, kinds="channel"), ("kinds",)),
    # Keys.
    Mistake("a seed for a key", lambda w: search.run(0, w.strategy, w.scored, 1), ("key", "jax.random.key")),
    Mistake("several keys for one",
            lambda w: search.run(jax.random.split(w.key), w.strategy, w.scored, 1), ("key", "one key")),
    Mistake("a key of another generator",
            lambda w: stitching.stitch(jax.random.key(0, impl="rbg"), w.matching), ("key", "threefry2x32")),
    # Structures that do not belong together.
    Mistake("a metric whose smaller values are better",
            lambda w: evaluation.population(w.pruned, w.split, [evaluation.nll]), ("metric", "-nll")),
    Mistake("parameters of another network",
            lambda w: w.scored(None, w.other.params, w.bits), ("params",)),
    Mistake("genomes of another space",
            lambda w: w.scored(None, w.pruned.params, w.switches.sample(w.key, 2)), ("genomes",)),
    Mistake("variables without their collection",
            lambda w: jaxevo.from_flax(w.module, w.variables(w.module)["params"], w.split.inputs[:1]),
            ("variables", "{'params': params}")),
    Mistake("members of another network",
            lambda w: training.freeze(w.other, w.member), ("member", "as_trainable")),
    Mistake("weights of another network", lambda w: subspace.rebase(w.mutated, w.other), ("parent",)),
    Mistake("a network to be voted with of other inputs", lambda w: ensemble.vote([w.network, w.wide]), ("networks",)),
    # Memory.
    Mistake("a population for which memory will not do",
            lambda w: _poor(lambda: w.scored(None, w.pruned.params, np.repeat(w.bits, 10**5, 0))),
            ("GiB", "available")),
    Mistake("offspring for which memory will not do",
            lambda w: _poor(lambda: w.shared(None, w.switches.params, np.asarray(stitching.unstitched(w.merged)))),
            ("GiB", "available", "batch")),
)  # fmt: skip
