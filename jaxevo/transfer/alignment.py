"""Alignment: which layer of one network corresponds to which of another (arXiv 2212.13970)."""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxevo.checks import check_function
from jaxevo.graph import NetworkGraph, trace
from jaxevo.network import Network, Trainable
from jaxevo.transfer.layers.structure import Blocks, Unit, blocks, table
from jaxevo.transfer.matching import Match, by_blocks, in_order

#: What can be aligned; a network is traced, so pass its graph where it is aligned with many others.
Alignable = Network | Trainable | NetworkGraph


class Pair(NamedTuple):
    """Two layers that correspond.

    source, target: the layers.
    score: what the pair is worth, in [0, 1].
    """

    source: Unit
    target: Unit
    score: float


@dataclasses.dataclass(frozen=True)
class Alignment:
    """Which layers of a source correspond to which of a target; made by `align`.

    source, target: the networks in blocks.
    pairs: pairs of layers on the main paths, in order.
    beside: pairs of layers beside them, gates with gates and shortcuts with shortcuts, within matched blocks.
    """

    source: Blocks
    target: Blocks
    pairs: tuple[Pair, ...]
    beside: tuple[Pair, ...]

    @functools.cached_property
    def score(self) -> float:
        """The total over the pairs of the main paths."""
        return math.fsum(pair.score for pair in self.pairs)

    @property
    def coverage(self) -> float:
        """How much of the target gets filled, in [0, 1]: the score over the target's with itself."""
        return self.score / len(self.target.main)

    @property
    def similarity(self) -> float:
        """How alike the networks are, in [0, 1]: the score over the geometric mean of theirs with themselves."""
        return self.score / math.sqrt(len(self.source.main) * len(self.target.main))

    @functools.cached_property
    def block_coverage(self) -> tuple[float, ...]:
        """How much of each of the target's blocks gets filled, in [0, 1]."""
        bounds = self.target.bounds
        totals = np.zeros(len(bounds) - 1)
        for pair in self.pairs:
            totals[pair.target.block] += pair.score
        return tuple((totals / np.diff(bounds)).tolist())


def align(source: Alignable, target: Alignable, *, match: Match = by_blocks) -> Alignment:
    """Aligns two networks, without data and without running either.

    Args:
      source: where weights come from.
      target: where they go.
      match: which layers of the main paths correspond; by default blocks in order, and within them layers in order.
        `transfer.flat`, `transfer.bipartite` and `transfer.random_match(key)` are what it is compared with.

    Returns:
      The alignment.

    Raises:
      TypeError: where an argument is neither a network nor the graph of one.
      ValueError: where a network has no layers with kernels.
    """
    check_function("align", "match", match, "(scores, source bounds, target bounds) -> pairs")
    return align_blocks(blocks_of("align", "source", source), blocks_of("align", "target", target), match)


def similarity(source: Alignable, target: Alignable) -> float:
    """Returns how alike two networks are, in [0, 1]: what chooses a source best.

    It is symmetric, and 1 exactly where the main paths are equal: their layers, and the blocks that these form.

    Args:
      source, target: as in `align`.

    Raises:
      TypeError, ValueError: as `align`.
    """
    return align(source, target).similarity


def coverage(source: Alignable, target: Alignable) -> float:
    """Returns how much of the target gets filled by the source, in [0, 1]: what warns of harm best.

    It is 1 where the source contains the target.

    Args:
      source, target: as in `align`.

    Raises:
      TypeError, ValueError: as `align`.
    """
    return align(source, target).coverage


def align_blocks(source: Blocks, target: Blocks, match: Match = by_blocks) -> Alignment:
    """Aligns two networks that are in blocks already."""
    scores = table(source.main, target.main)
    found = match(scores, source.bounds, target.bounds)
    pairs = tuple(Pair(source.main[i], target.main[j], float(scores[i, j])) for i, j in found)
    return Alignment(source, target, pairs, _beside(source, target, pairs))


def _beside(source: Blocks, target: Blocks, pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
    """Matches layers beside the main paths, in order, within blocks of which layers correspond."""
    found: list[Pair] = []
    taken: set[int] = set()
    for a, b in dict.fromkeys((pair.source.block, pair.target.block) for pair in pairs):
        for role in ("gate", "side"):
            rows, columns = (
                tuple(unit for unit in side.others if unit.block == block and unit.role == role)
                for side, block in ((source, a), (target, b))
            )
            columns = tuple(unit for unit in columns if id(unit) not in taken)
            scores = table(rows, columns)
            chosen = in_order(scores)
            taken |= {id(columns[j]) for _, j in chosen}
            found += [Pair(rows[i], columns[j], float(scores[i, j])) for i, j in chosen]
    return tuple(found)


def blocks_of(where: str, name: str, network: Any) -> Blocks:
    """Returns the blocks of an argument.

    Raises:
      TypeError: where it is neither a network nor the graph of one.
      ValueError: where it has no layers with kernels.
    """
    if not isinstance(network, Network | Trainable | NetworkGraph):
        raise TypeError(
            f"{where}: {name} is a {type(network).__name__}, expected a Network, a Trainable or the NetworkGraph of "
            "one; make it with jaxevo.from_flax or another door"
        )
    found = blocks(network if isinstance(network, NetworkGraph) else trace(view(network)))
    if not found.main:
        raise ValueError(
            f"{where}: {name} {network.name!r} has no convolution, product or table among its parameters, expected at "
            "least one; there is nothing to transfer"
        )
    return found


def view(network: Network | Trainable) -> Network:
    """Returns the frozen view of a trainable, with shapes for parameters; a network as it is."""
    if isinstance(network, Network):
        return network
    return network.network(*jax.eval_shape(network.init, jax.random.key(0)))
