"""`SwitchGraph`: pieces of networks joined by switches, so that a vector of choices names a network.

A node is a segment that computes a feature, or a switch that passes on one of several features. A genome holds the
option of each switch. Nodes only read earlier nodes, so every genome gives an acyclic network.

`G` is the number of switches.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.space import INPUTS, Cost, Segment, Step

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Node:
    """A segment or a switch of a `SwitchGraph`.

    name: unique in its graph.
    group: what it belongs to: a parent's name, "stitch", "output" or "switch".
    reads: indices of the earlier nodes that it reads, `INPUTS` for the inputs; for a switch, its options.
    segment: what it computes, None for a switch.
    leaves: indices of the leaves of the shared parameters that it uses.
    multiply_adds: what it costs for one example.
    """

    name: str
    group: str
    reads: tuple[int, ...]
    segment: Segment | None = None
    leaves: tuple[int, ...] = ()
    multiply_adds: int = 0


class Merge(NamedTuple):
    """A linear segment that is multiplied into the one after it, which alone reads it.

    saved: what a network costs less then.
    before: index of the node that is merged away.
    after: index of the node that takes it in; its segment computes with either its own leaves or the folded ones.
    fold: `(leaves of before, leaves of after) -> leaves of after`.
    rest: what is left of `before`, `feature -> feature` without parameters: a change of axes or of size.
    """

    saved: Cost
    before: int
    after: int
    fold: Callable[[PyTree, PyTree], PyTree]
    rest: Callable[[PyTree], PyTree]


@dataclasses.dataclass(frozen=True)
class SwitchGraph:
    """Pieces of networks joined by switches.

    nodes: in an order in which they can run; the last one gives the outputs.
    sizes: number of parameters in each leaf of the shared parameters.
    merges: by (node of a switch, option): the two segments that are merged when a network that uses that option is
      extracted, linear layers that follow each other.
    """

    nodes: tuple[Node, ...]
    sizes: tuple[int, ...]
    merges: dict[tuple[int, int], Merge] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def switches(self) -> tuple[int, ...]:
        """Index of the node of each gene."""
        return tuple(i for i, node in enumerate(self.nodes) if node.segment is None)

    @functools.cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The segments, in the order of the nodes."""
        return tuple(node.segment for node in self.nodes if node.segment is not None)

    @property
    def options(self) -> np.ndarray:
        """Number of options of each gene, int [G]."""
        return np.array([len(self.nodes[i].reads) for i in self.switches])

    @functools.cached_property
    def _gene(self) -> dict[int, int]:
        return {node: gene for gene, node in enumerate(self.switches)}

    @functools.cached_property
    def _segment(self) -> dict[int, int]:
        return {node: i for i, node in enumerate(j for j, n in enumerate(self.nodes) if n.segment is not None)}

    def used(self, genome: jax.Array | np.ndarray) -> list:
        """Says of each node whether the network of a genome uses it.

        Args:
          genome: int [G], traced or not.

        Returns:
          A boolean for each node.
        """
        found: list[Any] = [False] * len(self.nodes)
        found[-1] = True
        for index in reversed(range(len(self.nodes))):
            for option, read in enumerate(self.nodes[index].reads):
                if read == INPUTS:
                    continue
                taken = found[index]
                if index in self._gene:
                    taken = taken & (genome[self._gene[index]] == option)
                found[read] = found[read] | taken
        return found

    def used_genes(self, genome: jax.Array) -> jax.Array:
        """Says of each gene whether changing it changes the network, bool [G]."""
        used = self.used(genome)
        return jnp.stack([jnp.asarray(used[i]) for i in self.switches])

    def canonical(self, genome: jax.Array) -> jax.Array:
        """Returns the genome with every gene that changes nothing set to 0; equal networks have equal ones."""
        return jnp.where(self.used_genes(genome), genome, 0).astype(genome.dtype)

    def cost(self, genome: jax.Array | np.ndarray) -> Cost:
        """Counts what the network of a genome costs once it is extracted.

        Args:
          genome: int [G], traced or not.

        Returns:
          Multiply-adds for one example and the number of parameters; exact on the host, and traced float32 where int32
          could not hold them.
        """
        used = self.used(genome)
        adds = [(used[i], node.multiply_adds) for i, node in enumerate(self.nodes)]
        parameters = []
        for leaf, size in enumerate(self.sizes):
            readers = [used[i] for i, node in enumerate(self.nodes) if leaf in node.leaves]
            if readers:
                parameters.append((functools.reduce(lambda a, b: a | b, readers), size))
        for (switch, option), merge in self.merges.items():
            taken = used[switch] & (genome[self._gene[switch]] == option)
            adds.append((taken, -merge.saved.multiply_adds))
            parameters.append((taken, -merge.saved.parameters))
        return Cost(_total(adds, genome), _total(parameters, genome))

    def check(self, where: str, genome: Any) -> np.ndarray:
        """Returns one genome on the host.

        Args:
          where: whose argument it is, the start of the message.
          genome: int [G].

        Raises:
          ValueError: where it is no vector of G options.
        """
        genes, options = np.asarray(genome), self.options
        if genes.shape != options.shape or not np.issubdtype(genes.dtype, np.integer):
            raise ValueError(
                f"{where}: genome is {genes.dtype} {list(genes.shape)}, expected integers [{len(options)}], one "
                "genome; index the population first"
            )
        wrong = np.flatnonzero((genes < 0) | (genes >= options))
        if wrong.size:
            raise ValueError(
                f"{where}: gene {wrong[0]} of the genome is {genes[wrong[0]]}, expected 0 to {options[wrong[0]] - 1}"
            )
        return genes

    def path(self, genome: np.ndarray) -> list[int]:
        """Lists the segments' nodes that the network of a genome uses, in an order in which they run."""
        used = self.used(np.asarray(genome))
        return [i for i, node in enumerate(self.nodes) if used[i] and node.segment is not None]

    def source(self, genome: np.ndarray, node: int) -> int:
        """Follows switches from a node to the segment, or to the inputs, whose feature it passes on."""
        while node != INPUTS and node in self._gene:
            node = self.nodes[node].reads[int(genome[self._gene[node]])]
        return node

    def merged(self, genome: np.ndarray) -> list[Merge]:
        """Lists the merges that apply to the network of a genome."""
        genome = np.asarray(genome)
        used = self.used(genome)
        return [m for (i, option), m in self.merges.items() if used[i] and genome[self._gene[i]] == option]

    def plan(self, genome: np.ndarray) -> tuple[Step, ...]:
        """Lists the work of the network of a genome, as `Work.plan` wants it; checks the genome."""
        genome = self.check("plan", genome)
        order = self.path(genome)
        place = {INPUTS: INPUTS, **{node: i for i, node in enumerate(order)}}
        return tuple(
            Step(self._segment[i], (), tuple(place[self.source(genome, read)] for read in self.nodes[i].reads))
            for i in order
        )

    def apply(self, params: PyTree, genome: jax.Array, inputs: PyTree) -> PyTree:
        """Computes every node and lets a traced genome select: one program for all networks, at the price of all."""
        values: dict[int, Any] = {INPUTS: inputs}
        for index, node in enumerate(self.nodes):
            read = [values[i] for i in node.reads]
            if node.segment is not None:
                values[index] = node.segment.apply(node.segment.select(params), (), *read)
            else:
                which = jnp.clip(genome[self._gene[index]], 0, len(read) - 1).astype(jnp.int32)
                which = which == 1 if len(read) == 2 else which
                values[index] = jax.tree.map(functools.partial(_chosen, which), *read)
        return values[len(self.nodes) - 1]


def _chosen(which: jax.Array, *options: jax.Array) -> jax.Array:
    """Selects one of several values; parents may compute in different precision."""
    dtype = jnp.result_type(*options)
    return jax.lax.select_n(which, *(option.astype(dtype) for option in options))


def _total(terms: list[tuple[Any, int]], genome: jax.Array | np.ndarray) -> Any:
    """Sums the sizes of what is used, pairs of (used, size)."""
    if isinstance(genome, np.ndarray) or sum(abs(size) for _, size in terms) < 2**31:
        return sum(used * size for used, size in terms)
    # Traced integers have 32 bits: the upper and the lower half of each size are summed exactly, then joined.
    high = sum(used * (size >> 16) for used, size in terms)
    low = sum(used * (size & 0xFFFF) for used, size in terms)
    return jnp.asarray(high, jnp.float32) * 2**16 + jnp.asarray(low, jnp.float32)
