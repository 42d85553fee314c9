"""The spaces of a run: a trained network, its mutations, and what their children say.

n is the number of genomes, N that of examples, C that of classes.
"""

import dataclasses
from typing import Literal, NamedTuple

import jax
import numpy as np

from experiments.subspace.presets import Settings
from jaxevo import ensemble, graph, subspace
from jaxevo.data import Split
from jaxevo.network import Network
from jaxevo.space import Child, Space

Kind = Literal["sparse", "dense"]
KINDS: tuple[Kind, ...] = ("sparse", "dense")


class Mutable(NamedTuple):
    """A network that is mutated.

    network: as it came; layers and neurons are those of this one.
    fast: the same, as `graph.accelerate` has it; children run like this one.
    masks: where static masks come from.
    """

    network: Network
    fast: Network
    masks: jax.Array

    @classmethod
    def of(cls, network: Network, masks: jax.Array) -> "Mutable":
        return cls(network, graph.accelerate(network), masks)

    def partition(self, subspaces: int, sigma: float, **settings) -> Space:
        """Makes the space of `subspace.partition`, with members that run fast."""
        space = subspace.partition(self.network, subspaces, sigma, key=self.masks, **settings)
        assert space.child is not None
        make, run = space.child.make, self.fast.apply
        return dataclasses.replace(
            space,
            apply=lambda params, genome, inputs: run(make(params, genome), inputs),
            decode=lambda params, genome: dataclasses.replace(space.decode(params, genome), apply=run),
            child=Child(make, run),
        )

    def kind(self, kind: Kind, settings: Settings, sigma: float, terms: int = 1) -> Space:
        """Makes the space of sparse or of dense children that `settings.generation` asks for."""
        asked = settings.generation
        subspaces, granularity = {"sparse": (asked.subspaces, asked.granularity), "dense": (1, "weight")}[kind]
        return self.partition(
            subspaces, sigma, antithetic=asked.antithetic, granularity=granularity, scale=settings.scale, terms=terms
        )


def said(space: Space, genomes: subspace.Mutation, split: Split) -> np.ndarray:
    """Returns the probabilities [n, N, C] of stacked genomes, made and run one after another."""
    return ensemble.predict((space.decode(space.params, take(genomes, i)) for i in range(len(genomes.sign))), split)


def take(genomes: subspace.Mutation, index: int | list[int]) -> subspace.Mutation:
    """Returns one genome, or several stacked."""
    return jax.tree.map(lambda leaf: leaf[np.asarray(index)], genomes)


def nll_of(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the mean negative log-likelihood in nats [n] of what networks say, [n, N, C]."""
    right = np.take_along_axis(probabilities, labels[None, :, None], axis=2)[..., 0].astype(np.float64)
    return -np.log(np.maximum(right, np.finfo(np.float32).tiny)).mean(axis=1)
