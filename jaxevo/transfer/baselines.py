"""What matching by blocks is compared with, in the same interface: `transfer.align(source, target, match=...)`.

Their names in arXiv 2212.13970 and its code are given with each. What goes with them to copy weights as published is
`copy_weights(..., transform=transfer.clip, guard=0)`; `transfer.magnitude` is the other published transform.
"""

import jax
import numpy as np
from scipy import optimize

from jaxevo.network import check_key
from jaxevo.transfer.layers.structure import Bounds
from jaxevo.transfer.matching import Match, Pairs, expand, in_order, worths


def flat(scores: np.ndarray, source: Bounds, target: Bounds) -> Pairs:  # noqa: ARG001
    """Matches layers in order, whatever blocks they are in ("DP, flat").

    Args:
      scores: what each pair of layers is worth, [S, T].
      source, target: bounds of the blocks; not used.

    Returns:
      The pairs.
    """
    return in_order(scores)


def bipartite(scores: np.ndarray, source: Bounds, target: Bounds) -> Pairs:
    """Matches blocks with the greatest total worth in any order, and within them layers in order ("bipartite").

    Args:
      scores: what each pair of layers is worth, [S, T].
      source, target: bounds of the blocks.

    Returns:
      The pairs.
    """
    rows, columns = optimize.linear_sum_assignment(worths(scores, source, target), maximize=True)
    return expand(scores, source, target, tuple(zip(rows.tolist(), columns.tolist(), strict=True)))


def random_match(key: jax.Array) -> Match:
    """Makes a matching that gives every layer of the target a layer of the source at random ("random").

    Args:
      key: a key.

    Returns:
      The matching; a layer of the source may serve several times.

    Raises:
      TypeError, ValueError: where key is no key.
    """
    key = check_key("random_match", key)

    def match(scores: np.ndarray, source: Bounds, target: Bounds) -> Pairs:  # noqa: ARG001
        rows = jax.random.randint(key, (scores.shape[1],), 0, scores.shape[0])
        return tuple(zip(np.asarray(rows).tolist(), range(scores.shape[1]), strict=True))

    return match
