"""What calls are made of: tiny networks, spaces and examples, each built when it is first asked for."""

import functools
import pathlib
import tempfile
from typing import Any

import jax
import numpy as np
import optax
from flax import linen as nn

import jaxevo
from jaxevo import data, evaluation, interop, pbt, pruning, search, stitching, subspace, training, transfer
from jaxevo.graph import NetworkGraph
from jaxevo.network import Member, Network, Trainable
from jaxevo.space import Space


class Small(nn.Module):
    """Convolutions, the mean over space, a dense layer."""

    width: int = 4

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(self.width, (3, 3))(x))
        x = nn.relu(nn.Conv(self.width, (3, 3))(x))
        return nn.Dense(3)(x.mean((1, 2)))


class Normalised(nn.Module):
    """A dense layer behind a batch normalisation."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.BatchNorm(use_running_average=True)(x).mean((1, 2)))


class World:
    """The objects that calls are made of; weights are drawn by numpy, so that little has to be compiled."""

    module = Small()

    @functools.cached_property
    def key(self) -> jax.Array:
        return jax.random.key(0, impl="threefry2x32")

    @functools.cached_property
    def split(self) -> data.Split:
        rng = np.random.default_rng(0)
        inputs = rng.standard_normal((12, 6, 5, 2)).astype(np.float32)
        return data.Split(inputs, rng.integers(0, 3, 12).astype(np.int32))

    @functools.cached_property
    def dataset(self) -> data.Dataset:
        return data.Dataset("drawn", self.split, self.split, self.split, ("a", "b", "c"))

    def variables(self, module: nn.Module) -> dict[str, Any]:
        rng = np.random.default_rng(1)
        shapes = jax.eval_shape(module.init, self.key, self.split.inputs[:1])
        return jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32), shapes)

    @functools.cached_property
    def network(self) -> Network:
        return jaxevo.from_flax(self.module, self.variables(self.module), self.split.inputs[:1], name="small")

    @functools.cached_property
    def other(self) -> Network:
        return jaxevo.from_flax(Small(6), self.variables(Small(6)), self.split.inputs[:1], name="other")

    @functools.cached_property
    def normalised(self) -> Network:
        variables = self.variables(Normalised())
        variables["batch_stats"] = jax.tree.map(np.abs, variables["batch_stats"])
        return jaxevo.from_flax(Normalised(), variables, self.split.inputs[:1], name="normalised")

    @functools.cached_property
    def adversaries(self) -> pbt.Architecture:
        """A generator of vectors and a discriminator."""
        parts = {
            "generator": pbt.in_a_row([pbt.Dense("make", 3, (2,), activations=("relu", "tanh"))]),
            "discriminator": pbt.in_a_row([pbt.Dense("tell", 2, (1,))]),
        }
        return pbt.Architecture("adversaries", parts, jax.ShapeDtypeStruct((3,), np.float32), ("generator",))

    @functools.cached_property
    def weights(self) -> pathlib.Path:
        interop.save_state(self.network.params, self.folder / "weights.safetensors")
        return self.folder / "weights.safetensors"

    @functools.cached_property
    def exported(self) -> pathlib.Path:
        jaxevo.to_onnx(self.network, self.folder / "network.onnx")
        return self.folder / "network.onnx"

    @functools.cached_property
    def wide(self) -> Network:
        """A network of other inputs."""
        example = np.zeros((1, 6, 6, 2), np.float32)
        return jaxevo.from_flax(self.module, self.variables(self.module), example, name="wide")

    @functools.cached_property
    def graphs(self) -> tuple[NetworkGraph, NetworkGraph]:
        return jaxevo.trace(self.network), jaxevo.trace(self.other)

    @functools.cached_property
    def trainable(self) -> Trainable:
        return jaxevo.as_trainable(self.network)

    @functools.cached_property
    def pruned(self) -> Space:
        return pruning.channels(self.network)

    @functools.cached_property
    def mutated(self) -> Space:
        return subspace.partition(self.network, 4, 0.1)

    @functools.cached_property
    def vectors(self) -> Space:
        return subspace.coordinates(self.network, 0.1, density=0.2)

    @functools.cached_property
    def matching(self) -> stitching.Matching:
        return stitching.match(*self.graphs)

    @functools.cached_property
    def merged(self) -> stitching.Merged:
        return stitching.stitch(self.key, self.matching)

    @functools.cached_property
    def switches(self) -> Space:
        return stitching.switches(self.merged)

    @functools.cached_property
    def architecture(self) -> pbt.Architecture:
        layers = [
            pbt.Convolution("first", 2, ("conv1", "conv3"), widths=(2, 4)),
            pbt.Plain("mean", lambda maps: maps.mean((1, 2))),
            pbt.Dense("logits", 4, (3,)),
        ]
        return pbt.chain(layers, jaxevo.spec(self.split.inputs[:1]))

    @functools.cached_property
    def mixing(self) -> Space:
        return pbt.layers(self.architecture)

    @functools.cached_property
    def head(self) -> pruning.Head:
        return pruning.head(60, 3, (4,))

    @functools.cached_property
    def heads(self) -> Space:
        return pruning.neurons(self.head)

    @functools.cached_property
    def flat(self) -> data.Split:
        return data.Split(self.split.inputs.reshape(12, -1), self.split.labels)

    @functools.cached_property
    def learner(self) -> training.Learner:
        return training.learner(self.heads, training.cross_entropy, self.optimizer)

    @functools.cached_property
    def optimizer(self) -> optax.GradientTransformation:
        return optax.sgd(0.1)

    @functools.cached_property
    def member(self) -> Member:
        return training.start(self.key, self.trainable, self.optimizer)

    @functools.cached_property
    def update(self) -> training.Update:
        return training.supervised(self.trainable, training.cross_entropy, self.optimizer)

    @functools.cached_property
    def fit(self) -> training.PopulationFit:
        return training.population(self.heads, self.learner, self.flat, epochs=1, batch=4)

    @functools.cached_property
    def scored(self) -> evaluation.PopulationEvaluation:
        return evaluation.population(self.pruned, self.split, [evaluation.accuracy])

    @functools.cached_property
    def shared(self) -> evaluation.SharedEvaluation:
        return evaluation.shared(self.switches, self.split, [evaluation.accuracy])

    @functools.cached_property
    def strategy(self) -> search.Strategy:
        return search.nsga2(self.pruned, 4)

    @functools.cached_property
    def alignment(self) -> transfer.Alignment:
        return transfer.align(self.network, self.other)

    @functools.cached_property
    def said(self) -> np.ndarray:
        votes = np.random.default_rng(2).random((4, 12, 3)) + 0.1
        return (votes / votes.sum(-1, keepdims=True)).astype(np.float32)

    @functools.cached_property
    def bits(self) -> np.ndarray:
        return np.ones((3, len(pruning.magnitude(self.pruned))), bool)

    @functools.cached_property
    def folder(self) -> pathlib.Path:
        # Taken away with the process.
        self._held = tempfile.TemporaryDirectory(prefix="jaxevo-inputs-")
        return pathlib.Path(self._held.name)

    @functools.cached_property
    def objects(self) -> list[Any]:
        """Objects of the library, to be passed where others are wanted."""
        return [
            self.network,
            self.graphs[0],
            self.trainable,
            self.pruned,
            self.split,
            self.dataset,
            self.strategy,
            self.matching,
            evaluation.accuracy,
        ]
