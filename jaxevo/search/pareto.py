"""Pareto ranks, crowding and hypervolume, on the host.

Fitness is [n, m], n points in m objectives, larger is better in each. A row with a NaN or an infinity anywhere counts
as failed: it ranks behind every finite row and adds nothing.
"""

import moocore
import numpy as np

from jaxevo.checks import as_numbers


def check_fitness(where: str, fitness: np.ndarray) -> np.ndarray:
    """Returns fitness as a float64 array [n, m] on the host.

    Raises:
      ValueError: where it is no real matrix with at least one objective.
    """
    fitness = as_numbers(where, "fitness", fitness)
    if fitness.ndim != 2 or fitness.shape[1] == 0:
        raise ValueError(
            f"{where}: fitness is {list(fitness.shape)}, expected real numbers "
            "[population, objectives] with at least one objective; one objective alone is fitness[:, None]"
        )
    # Zero and minus zero must tie.
    return fitness + 0.0


def finite(fitness: np.ndarray) -> np.ndarray:
    """Returns which rows [n] of fitness [n, m] have no NaN and no infinity."""
    return np.asarray(np.isfinite(fitness).all(axis=1))


def ranks(fitness: np.ndarray) -> np.ndarray:
    """Sorts points into fronts that do not dominate each other.

    Args:
      fitness: [n, m], larger is better.

    Returns:
      Ranks [n], 0 for points that nothing dominates; equal rows share a rank; rows that are not finite share the one
      behind the last.

    Raises:
      ValueError: where fitness is no real matrix.

    Source: Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II", section III-A.
    """
    fitness = check_fitness("ranks", fitness)
    usable = finite(fitness)
    result = np.zeros(len(fitness), np.int64)
    if usable.any():
        result[usable] = moocore.pareto_rank(np.ascontiguousarray(fitness[usable]), maximise=True)
        result[~usable] = result[usable].max() + 1
    return result


def crowding(fitness: np.ndarray) -> np.ndarray:
    """Measures how far each point of one front is from its neighbours.

    Args:
      fitness: [n, m] of one front, finite, larger is better.

    Returns:
      Distances [n]: per objective the gap between the two neighbours in units of the front's extent, averaged over
      objectives; infinite at the ends and for fronts of one or two; an objective in which all are equal counts as 0.
      Among equal values the order of the rows decides who stands at an end, as in pymoo.

    Raises:
      ValueError: where fitness is no real matrix or not finite.

    Source: Deb et al. 2002, section III-B; averaged over objectives as in pymoo.
    """
    fitness = check_fitness("crowding", fitness)
    if not finite(fitness).all():
        raise ValueError("crowding: fitness holds NaN or infinity, expected one front of finite rows; see pareto.front")
    if len(fitness) <= 2:
        return np.full(len(fitness), np.inf)
    return np.mean([_gaps(-column) for column in fitness.T], axis=0)


def _gaps(column: np.ndarray) -> np.ndarray:
    """Returns the distance between the neighbours of each value [n], relative to the extent of all."""
    extent = column.max() - column.min()
    gaps = np.zeros(len(column))
    order = np.argsort(column, kind="stable")
    if extent > 0:
        steps = np.diff(column[order]) / extent
        gaps[order[1:-1]] = steps[:-1] + steps[1:]
        gaps[order[[0, -1]]] = np.inf
    return gaps


def front(fitness: np.ndarray) -> np.ndarray:
    """Finds the points that nothing dominates.

    Args:
      fitness: [n, m], larger is better.

    Returns:
      Indices, ascending, of the finite rows of rank 0; all of them where several are equal.

    Raises:
      ValueError: where fitness is no real matrix.
    """
    fitness = check_fitness("front", fitness)
    return np.flatnonzero((ranks(fitness) == 0) & finite(fitness))


def hypervolume(fitness: np.ndarray, reference: np.ndarray) -> float:
    """Measures the volume between a reference point and the points above it.

    Args:
      fitness: [n, m], larger is better.
      reference: [m], finite, the worst point that counts.

    Returns:
      Volume of the union of the boxes from the reference to each point that exceeds it in every objective, in the
      product of the objectives' units; 0 where none does.

    Raises:
      ValueError: where fitness is no real matrix or the reference does not fit it.
    """
    fitness = check_fitness("hypervolume", fitness)
    reference = as_numbers("hypervolume", "reference", reference)
    if reference.shape != fitness.shape[1:] or not np.isfinite(reference).all():
        raise ValueError(
            f"hypervolume: reference is {reference.tolist()}, expected {fitness.shape[1]} finite numbers, "
            "one for each objective"
        )
    above = fitness[finite(fitness) & (fitness > reference).all(axis=1)]
    if not len(above):
        return 0.0
    return float(moocore.hypervolume(np.ascontiguousarray(above), ref=reference, maximise=True))
