"""The ordinary baselines of pruning, as scores of units and genomes of the space of `channels`: what is cut first.

U is the number of units.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.checks import as_numbers, check_flag
from jaxevo.data import Split, check_batch
from jaxevo.network import check_inputs, check_key
from jaxevo.pruning.widths import Units, units_of
from jaxevo.space import Space

PyTree = Any


def magnitude(space: Space) -> np.ndarray:
    """Scores units by their weights: the root of the sum of squares over all parameters that go with a unit.

    A unit's parameters are its filters in all layers that make it, its entries in biases and normalisations, and the
    weights that read it. Fang et al., "DepGraph: towards any structural pruning" (arXiv 2301.12900), equation 4; of a
    layer alone, Li et al. (arXiv 1608.08710).

    Args:
      space: a space that `channels` made.

    Returns:
      Scores, float64 [U]; larger is kept longer.

    Raises:
      TypeError: where it is no such space.
    """
    units = units_of("magnitude", space)
    squares = np.zeros(units.offsets[-1])
    index = [np.arange(a, b) for a, b in zip(units.offsets, units.offsets[1:], strict=False)]
    for leaf, array in enumerate(jax.tree.leaves(space.params)):
        for axis, label in enumerate(units.found.axes[leaf]):
            inside = units.found.within(label) & set(units.chosen)
            if inside:
                rest = tuple(place for place in range(array.ndim) if place != axis)
                weights = np.square(np.asarray(array, np.float64)).sum(rest)
                for group in inside:
                    where = units.found.positions(label, group)
                    mine = index[units.chosen.index(group)]
                    np.add.at(squares, mine[where[where >= 0]], weights[where >= 0])
    return np.sqrt(squares)


def taylor(
    space: Space,
    split: Split,
    loss: Callable[[PyTree, jax.Array, jax.Array], jax.Array],
    *,
    batch: int = 32,
    examples: int | None = None,
) -> np.ndarray:
    """Scores units by the change of a loss, to first order, when they are cut.

    Units are multiplied by numbers that are all 1; the derivative of the loss by them is what a first-order Taylor
    expansion says of cutting them (Molchanov et al., arXiv 1906.10771, equation 8, for gates). Its square is averaged
    over batches.

    Args:
      space: a space that `channels` made.
      split: examples with labels, those of training.
      loss: `(outputs, labels, mask) -> scalar`, such as `jaxevo.training.cross_entropy`.
      batch: examples in a batch; what is left over at the end is not used.
      examples: how many to use, from the first; by default all.

    Returns:
      Scores, float64 [U]; larger is kept longer.

    Raises:
      TypeError, ValueError: where an argument is not as described.
    """
    units = units_of("taylor", space)
    if not callable(loss):
        raise TypeError(f"taylor: loss is {loss!r}, expected a function (outputs, labels, mask) -> scalar")
    check_batch("taylor", split, batch)
    check_inputs(f"taylor of {space.name}", space.inputs, split.inputs)
    count = len(split) if examples is None else examples
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"taylor: examples is {examples!r}, expected a whole number of at least 1, or None")
    count = min(count, len(split))
    batch = min(batch, count)
    ones, mask = jnp.ones(int(units.offsets[-1])), jnp.ones(batch, bool)

    @jax.jit
    def squares(params, inputs, labels):
        gradient = jax.grad(lambda gates: loss(units(params, gates, inputs), labels, mask))(ones)
        return jnp.square(gradient)

    starts = range(0, count - batch + 1, batch)
    rows = (slice(start, start + batch) for start in starts)
    total = sum(np.asarray(squares(space.params, split.inputs[r], split.labels[r]), np.float64) for r in rows)
    return np.sqrt(total / len(starts))


def random_scores(key: jax.Array, space: Space) -> np.ndarray:
    """Scores units at random, the baseline that every other one has to beat.

    Args:
      key: a key.
      space: a space that `channels` made.

    Returns:
      Scores, float64 [U] in [0, 1).

    Raises:
      TypeError: where it is no such space, or key is no key.
    """
    key = check_key("random_scores", key)
    units = units_of("random_scores", space)
    return np.asarray(jax.random.uniform(key, (int(units.offsets[-1]),)), np.float64)


def keep(space: Space, scores: np.ndarray, share: float, *, across: bool = False) -> np.ndarray:
    """Returns the genome that keeps the best units.

    Args:
      space: a space that `channels` made.
      scores: [U], as `magnitude`, `taylor` or `random_scores` give them.
      share: share of the units that is kept, in (0, 1]: rounded, and at least one of each group.
      across: whether groups compete with each other; by default each keeps the same share.

    Returns:
      The genome, bool [U].

    Raises:
      TypeError: where space is no such space.
      ValueError: where scores are not finite numbers [U], or the share is out of range.
    """
    units = units_of("keep", space)
    scores = _check_scores("keep", units, scores)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise ValueError(f"keep: share is {share!r}, expected a number in (0, 1], the share of units that is kept")
    if not check_flag("keep", "across", across):
        return _best_of_each(units, scores, share)
    bits = _best_of_each(units, scores, 0.0)
    # One of each group first, then whoever scores best.
    order = np.lexsort((-scores, ~bits))
    wanted = max(int(bits.sum()), round(share * len(scores)))
    return np.isin(np.arange(len(scores)), order[:wanted])


def thin(space: Space, scores: np.ndarray, multiply_adds: float = 0.5) -> np.ndarray:
    """Returns the genome that cuts every group by the same share, as much as a target of multiply-adds asks for.

    Args:
      space: a space that `channels` made.
      scores: [U], as `magnitude`, `taylor` or `random_scores` give them.
      multiply_adds: share of the network's multiply-adds that is left at most, in (0, 1).

    Returns:
      The genome, bool [U]: of those that `keep` gives, the largest within the target.

    Raises:
      TypeError: where space is no such space.
      ValueError: where scores are not finite numbers [U], or the target cannot be reached: by more than is left with
        one unit of each group.
    """
    units = units_of("thin", space)
    scores = _check_scores("thin", units, scores)
    if isinstance(multiply_adds, bool) or not isinstance(multiply_adds, int | float) or not 0 < multiply_adds < 1:
        raise ValueError(f"thin: multiply_adds is {multiply_adds!r}, expected a share in (0, 1), such as 0.5")
    whole = units.costs[0].largest
    # Widths change where the share of some group passes a half, so these are all the genomes that there are.
    sizes = {group.size for group in units.groups}
    shares = sorted({(count + 0.5) / size for size in sizes for count in range(size)} | {0.0})
    fits = _bisect(shares, lambda share: _cost(units, scores, share) <= multiply_adds * whole)
    if not fits:
        least = _cost(units, scores, 0.0) / whole
        raise ValueError(
            f"thin: multiply_adds is {multiply_adds}, but with one unit of each group {least:.3f} of them are left: "
            "what cannot be pruned costs more; ask for more than that, or prune more kinds of unit"
        )
    return _best_of_each(units, scores, fits[0])


def _bisect(shares: list[float], fits: Callable[[float], bool]) -> list[float]:
    """Returns the largest of some increasing shares that fits, in a list, or an empty one."""
    low, high = -1, len(shares) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(shares[middle]) else (low, middle - 1)
    return shares[low : low + 1] if low >= 0 else []


def _cost(units: Units, scores: np.ndarray, share: float) -> int:
    return units.cost(_best_of_each(units, scores, share)).multiply_adds


def _best_of_each(units: Units, scores: np.ndarray, share: float) -> np.ndarray:
    bits = np.zeros(len(scores), bool)
    for start, stop in zip(units.offsets, units.offsets[1:], strict=False):
        # Half-way between two counts, the larger one.
        count = max(1, int(np.floor(share * (stop - start) + 0.5 + 1e-9)))
        bits[start + np.argsort(-scores[start:stop], kind="stable")[:count]] = True
    return bits


def _check_scores(where: str, units: Units, scores: Any) -> np.ndarray:
    found = as_numbers(where, "scores", scores)
    if found.shape != (len(units.owner),) or not np.isfinite(found).all():
        raise ValueError(
            f"{where}: scores have shape {list(found.shape)}, expected [{len(units.owner)}] finite numbers, one for "
            "each unit, as magnitude, taylor or random_scores give them"
        )
    return found
