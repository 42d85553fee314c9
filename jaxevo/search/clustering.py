"""Clusters of a population in the space of objectives: neighbours on the front mix with each other.

n is the size of the population, m the number of objectives, k that of clusters.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.search import pareto

#: Most rounds of k-means; it settles after a few.
ROUNDS = 100


class Clusters(NamedTuple):
    """A population in overlapping clusters.

    pools: bool [k, n], the members of each cluster, at least one.
    groups: int [n], the cluster that each genome belongs to.
    aims: int [n], the objective that alone counts for a genome, -1 where all of them do.
    """

    pools: np.ndarray
    groups: np.ndarray
    aims: np.ndarray


def cluster(key: jax.Array, fitness: np.ndarray, count: int) -> Clusters:
    """Clusters a population by balanced k-leader-means.

    Leaders are far from each other; k-means starts from them; each cluster then holds the 2 n / k genomes nearest to
    its mean. A genome in several clusters belongs to one of them at random, one in none to the nearest. The clusters
    that are best in an objective, on average, optimise that one alone. Failed genomes are in no pool; they belong where
    the worst of the others do.

    Args:
      key: a key.
      fitness: [n, m], larger is better, at least one row finite.
      count: of clusters, at least 1; there are fewer where fewer vectors of objectives differ.

    Returns:
      The clusters.

    Source: Luong, La Poutré, Bosman 2018, "Multi-objective Gene-pool Optimal Mixing Evolutionary Algorithm with the
    interleaved multi-start scheme" (balanced k-leader-means, extreme clusters).
    """
    first, choice = jax.random.split(key)
    usable = np.flatnonzero(pareto.finite(fitness))
    points = _scaled(fitness, usable)
    start = np.argmax(points[usable, int(jax.random.randint(first, (), 0, fitness.shape[1]))])
    means = _means(points[usable], leaders(points[usable], int(start), count))
    distance = np.linalg.norm(points[None] - means[:, None], axis=-1)
    pools = np.zeros(distance.shape, bool)
    size = min(len(usable), -(-2 * len(usable) // len(means)))
    nearest = usable[np.argsort(distance[:, usable], axis=1, kind="stable")[:, :size]]
    pools[np.arange(len(means))[:, None], nearest] = True
    draws = np.asarray(jax.random.uniform(choice, pools.shape, jnp.float32))
    groups = np.where(pools.any(axis=0), np.argmax(np.where(pools, draws, -1), axis=0), distance.argmin(axis=0))
    return Clusters(pools, groups, extremes(means)[groups])


def leaders(points: np.ndarray, start: int, count: int) -> np.ndarray:
    """Picks points that are far from each other: each next one is the farthest from its nearest leader.

    Args:
      points: [n, m].
      start: index of the first leader.
      count: how many, at least 1.

    Returns:
      Indices of the leaders; fewer than `count` where no other point lies apart from all of them.
    """
    found = [start]
    distance = np.linalg.norm(points - points[start], axis=1)
    while len(found) < count and distance.max() > 0:
        found.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[found[-1]], axis=1))
    return np.array(found)


def extremes(means: np.ndarray) -> np.ndarray:
    """Says which objective alone each cluster optimises.

    Args:
      means: [k, m], larger is better.

    Returns:
      int [k]: for the cluster with the best mean in an objective that one (the last of several), -1 for the others and
      where there is only one cluster.
    """
    aims = np.full(len(means), -1)
    if len(means) > 1:
        for objective, best in enumerate(means.argmax(axis=0)):
            aims[best] = objective
    return aims


def _scaled(fitness: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Returns fitness [n, m] in units of the extent of the usable rows, from 0; failed rows are at 0."""
    low, high = fitness[usable].min(axis=0), fitness[usable].max(axis=0)
    points = np.zeros(fitness.shape)
    points[usable] = (fitness[usable] - low) / np.where(high > low, high - low, 1)
    return points


def _means(points: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Returns the means [k, m] where k-means settles that starts from the chosen points."""
    means = points[chosen]
    nearest = None
    for _ in range(ROUNDS):
        before, nearest = nearest, np.linalg.norm(points[None] - means[:, None], axis=-1).argmin(axis=0)
        if before is not None and np.array_equal(before, nearest):
            break
        # A cluster that lost all its points stays where it was.
        means = np.stack([points[nearest == k].mean(axis=0) if (nearest == k).any() else means[k]
                          for k in range(len(means))])  # fmt: skip
    return means
