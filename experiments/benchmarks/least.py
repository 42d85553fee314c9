"""The least work that some networks can be scored with, counted on its own: not by what evaluation schedules from."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from jaxevo.graph import SwitchGraph


class Count(NamedTuple):
    """Work for one batch, in segments, or for one example, in multiply-adds.

    alone: where each network computes everything itself.
    least: where whatever networks have in common is computed once.
    """

    alone: int
    least: int


def count(graph: SwitchGraph, genomes: Iterable[np.ndarray]) -> tuple[Count, Count]:
    """Walks down from the output of each network, taking at each switch what its genome says.

    A piece of work is a node together with everything upstream of it, written out: two networks have it in common
    exactly if all of that is equal.

    Args:
      graph: the switch graph.
      genomes: distinct networks, int [G] each.

    Returns:
      Segments, and multiply-adds.
    """
    alone, every = [], set()
    for genome in genomes:
        found = set()
        _walk(graph, genome, len(graph.nodes) - 1, found)
        alone += found
        every |= found
    cost = [node.multiply_adds for node in graph.nodes]
    return Count(len(alone), len(every)), Count(sum(cost[w[0]] for w in alone), sum(cost[w[0]] for w in every))


def stitches(graph: SwitchGraph, genome: np.ndarray) -> int:
    """Returns how many stitches the network of a genome uses."""
    found = set()
    _walk(graph, genome, len(graph.nodes) - 1, found)
    return sum(graph.nodes[work[0]].group == "stitch" for work in found)


def _walk(graph, genome, index, found):
    """Returns a node's work as a nested tuple (node, works that it reads), and adds all of it to `found`."""
    if index < 0:
        return (index,)
    node = graph.nodes[index]
    if node.segment is None:
        gene = sum(earlier.segment is None for earlier in graph.nodes[:index])
        return _walk(graph, genome, node.reads[int(genome[gene])], found)
    work = (index, *(_walk(graph, genome, read, found) for read in node.reads))
    found.add(work)
    return work
