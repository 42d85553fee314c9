"""Sources ranked for a target, without data and without running any of them."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxevo.network import Network
from jaxevo.transfer.alignment import Alignable, Alignment, align_blocks, blocks_of


class Ranked(NamedTuple):
    """A source and how it fits.

    network: the source.
    alignment: with the target.
    similarity: how alike the two are, in [0, 1]; sources are ranked by it.
    coverage: how much of the target the source fills, in [0, 1]; where it is low, transfer may do harm.
    """

    network: Network
    alignment: Alignment
    similarity: float
    coverage: float


def rank(sources: Sequence[Alignable], target: Alignable) -> list[Ranked]:
    """Ranks sources for a target by their similarity (arXiv 2212.13970).

    Args:
      sources: at least one; a network is traced, so pass graphs where they are ranked more than once.
      target: where weights go.

    Returns:
      The sources, the best first; of equal ones, in the order in which they came.

    Raises:
      TypeError: where sources is no sequence, or holds what is no network.
      ValueError: where it is empty, or a network has no layers with kernels.
    """
    if not isinstance(sources, Sequence):
        raise TypeError(f"rank: sources is a {type(sources).__name__}, expected a sequence of networks or their graphs")
    if not sources:
        raise ValueError("rank: sources is empty, expected at least one network")
    goal = blocks_of("rank", "target", target)
    found = []
    for index, source in enumerate(sources):
        alignment = align_blocks(blocks_of("rank", f"source {index}", source), goal)
        found.append(Ranked(alignment.source.graph.network, alignment, alignment.similarity, alignment.coverage))
    return sorted(found, key=lambda one: -one.similarity)
