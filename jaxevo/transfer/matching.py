"""Matching one sequence of blocks with another, order kept, by dynamic programming (arXiv 2212.13970).

S and T are the numbers of layers of source and target. `scores` [S, T] says what a pair of layers is worth; blocks are
runs of layers, given as the index of the first layer of each and the number of layers at the end, so that
`bounds = (0, 2, 5)` are the two blocks of layers 0 to 1 and 2 to 4. Two blocks are worth the best order-preserving
one-to-one matching of their layers, two networks that of their blocks.
"""

import itertools
from collections.abc import Callable

import numpy as np

from jaxevo.transfer.layers.structure import Bounds

#: Indices of layers of source and target, ascending in both.
Pairs = tuple[tuple[int, int], ...]
#: `(scores, source bounds, target bounds) -> pairs`.
Match = Callable[[np.ndarray, Bounds, Bounds], Pairs]


def by_blocks(scores: np.ndarray, source: Bounds, target: Bounds) -> Pairs:
    """Matches blocks in order, and within each two matched blocks layers in order.

    Args:
      scores: what each pair of layers is worth, [S, T], at least 0.
      source, target: bounds of the blocks.

    Returns:
      The pairs of layers with the greatest total score; of equals, those of blocks that are filled as a whole, and then
      the first ones.
    """
    worth = worths(scores, source, target)
    return expand(scores, source, target, in_order(worth + _preference(worth, source, target)))


def expand(scores: np.ndarray, source: Bounds, target: Bounds, blocks: Pairs) -> Pairs:
    """Returns the pairs of layers, in order, within pairs of blocks."""
    found: list[tuple[int, int]] = []
    for a, b in blocks:
        rows, columns = slice(source[a], source[a + 1]), slice(target[b], target[b + 1])
        found += [(source[a] + i, target[b] + j) for i, j in in_order(scores[rows, columns])]
    return tuple(found)


def worths(scores: np.ndarray, source: Bounds, target: Bounds) -> np.ndarray:
    """Returns what each pair of blocks is worth, [blocks of the source, blocks of the target], all at once."""
    rows, columns = _padded(source), _padded(target)
    padded = np.zeros((scores.shape[0] + 1, scores.shape[1] + 1))
    padded[:-1, :-1] = scores
    return _tables(padded[rows[:, None, :, None], columns[None, :, None, :]])[..., -1, -1]


def in_order(scores: np.ndarray) -> Pairs:
    """Returns the one-to-one pairs, ascending on both sides, with the greatest total score.

    Args:
      scores: what each pair is worth, [S, T]; pairs worth 0 are left out.

    Returns:
      The pairs.
    """
    best = _tables(scores[None, None])[0, 0]
    i, j, pairs = scores.shape[0], scores.shape[1], []
    while i and j:
        if best[i, j] == best[i, j - 1]:
            j -= 1
        elif best[i, j] == best[i - 1, j]:
            i -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return tuple(reversed(pairs))


def _preference(worth: np.ndarray, source: Bounds, target: Bounds) -> np.ndarray:
    """Returns by how much each pair of blocks is preferred to others that are worth the same, at most a millionth.

    Most of a network is repetition, so that a block is often worth the same with several others: the expansion before a
    strided convolution, which is a block of its own, belongs to that of the other network, and not to the equal first
    layer of the block before. (Of equal blocks those at like depths were tried as well: a transfer to fewer layers
    gains less by them than by the first ones.)
    """
    return 1e-6 * worth / np.sqrt(np.outer(np.diff(source), np.diff(target)))


def _padded(bounds: Bounds) -> np.ndarray:
    """Returns the layers of each block, [blocks, longest block], filled up with -1."""
    lengths = [b - a for a, b in itertools.pairwise(bounds)]
    found = np.full((len(lengths), max(lengths, default=0)), -1)
    for row, (start, length) in enumerate(zip(bounds, lengths, strict=False)):
        found[row, :length] = range(start, start + length)
    return found


def _tables(scores: np.ndarray) -> np.ndarray:
    """Returns the greatest totals over the first i and j layers, [..., S + 1, T + 1], of scores [..., S, T]."""
    best = np.zeros((*scores.shape[:-2], scores.shape[-2] + 1, scores.shape[-1] + 1))
    for i in range(scores.shape[-2]):
        row = np.maximum(best[..., i, 1:], best[..., i, :-1] + scores[..., i, :])
        best[..., i + 1, 1:] = np.maximum.accumulate(row, axis=-1)
    return best
