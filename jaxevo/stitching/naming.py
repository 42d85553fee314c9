"""Names of offspring, by the pieces that they run."""

import numpy as np

from jaxevo.space import INPUTS
from jaxevo.stitching.merging import Merged, check_merged


def describe(merged: Merged, genome: np.ndarray) -> str:
    """Names the network of a genome by the pieces it runs, such as "mobile[0]>resnet[1-3]".

    Args:
      merged: the merged network.
      genome: int [G].

    Returns:
      The pieces that lead to the output, in the order in which they run, joined by "+" where an ensemble uses several
      ways, with the ensemble's weights where they are unequal.

    Raises:
      TypeError: where merged is no `Merged`.
      ValueError: where the genome is not one of it.
    """
    check_merged("describe", merged)
    graph = merged.graph
    genome = graph.check("describe", genome)
    option = int(genome[-1])
    end = graph.source(genome, len(graph.nodes) - 1)
    if option < len(merged.parents):
        return _way(merged, genome, end)
    ways = [_way(merged, genome, graph.source(genome, read)) for read in graph.nodes[end].reads]
    weights = [weight for weight in merged.votes[option - len(merged.parents)] if weight]
    if len(set(weights)) == 1:
        return " + ".join(ways)
    return " + ".join(f"{weight:g} {way}" for weight, way in zip(weights, ways, strict=True))


def _way(merged: Merged, genome: np.ndarray, end: int) -> str:
    """Names what leads to a node: runs of pieces of one parent after another."""
    graph, names = merged.graph, {parent.name for parent in merged.parents}
    found, stack = set(), [end]
    while stack:
        node = stack.pop()
        if node != INPUTS and node not in found:
            found.add(node)
            stack.extend(graph.source(genome, read) for read in graph.nodes[node].reads)
    runs: list[tuple[str, list[int]]] = []
    for index in sorted(found):
        node = graph.nodes[index]
        if node.group not in names:
            continue
        if not runs or runs[-1][0] != node.group:
            runs.append((node.group, []))
        runs[-1][1].append(int(node.name[len(node.group) + 1 : -1]))
    return ">".join(f"{name}[{_ranges(indices)}]" for name, indices in runs)


def _ranges(indices: list[int]) -> str:
    """Writes rising numbers briefly: 0-2,5."""
    spans: list[list[int]] = []
    for index in indices:
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
