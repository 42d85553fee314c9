"""What searches over genomes of floating-point numbers share: their checks, where they start, the best so far.

n is the size of the population.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.search.strategy import Scored, check_scores, select
from jaxevo.space import Space

PyTree = Any


def check_genomes(where: str, space: Space) -> PyTree:
    """Describes the genomes of a space, which must be floating-point numbers throughout.

    Args:
      where: whose argument the space is, the start of the message.
      space: any space.

    Returns:
      Pytree of `jax.ShapeDtypeStruct`, one genome.

    Raises:
      TypeError: where a genome holds anything else, such as bits, whole numbers or keys.
    """
    leaves = jax.tree_util.tree_flatten_with_path(space.genome)[0]
    for path, leaf in leaves:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise TypeError(
                f"{where}: a genome of space {space.name!r} holds {leaf.dtype} at "
                f"genome{jax.tree_util.keystr(path)}, expected floating-point numbers only; choose a space whose "
                "genome is a float vector, or a strategy that varies genomes by the space, such as truncation"
            )
    if not sum(math.prod(leaf.shape) for _, leaf in leaves):
        raise TypeError(f"{where}: a genome of space {space.name!r} holds no number, expected at least one")
    return space.genome


def check_start(where: str, start: PyTree, genome: PyTree) -> PyTree:
    """Checks the genome from which a search starts.

    Args:
      where: whose argument it is, the start of the message.
      start: one genome, or None.
      genome: what a genome looks like, as `check_genomes` returns it.

    Returns:
      The genome as arrays, or None.

    Raises:
      ValueError: where it is no genome of the space or not finite.
    """
    if start is None:
        return None
    came = jax.tree.map(lambda leaf: list(np.shape(leaf)), start)
    wanted = jax.tree.map(lambda leaf: list(leaf.shape), genome)
    if came != wanted:
        raise ValueError(f"{where}: start has shapes {came}, expected {wanted}, one genome as space.sample gives them")
    start = jax.tree.map(lambda leaf, like: jnp.asarray(leaf, like.dtype), start, genome)
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(start)):
        raise ValueError(f"{where}: start holds a number that is not finite, expected finite ones")
    return start


def check_positive(where: str, name: str, value: Any) -> float:
    """Returns a positive, finite number.

    Raises:
      ValueError: where it is none.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not np.isfinite(value) or value <= 0:
        raise ValueError(f"{where}: {name} is {value!r}, expected a finite number above 0")
    return float(value)


def check_one_objective(where: str, count: int) -> None:
    """Raises a ValueError where there is more than one objective."""
    if count != 1:
        raise ValueError(
            f"{where}: fitness has {count} objectives, expected 1; evaluate one metric, or search with nsga2 or gomea"
        )


def as_column(where: str, genomes: PyTree, fitness: Any) -> jax.Array:
    """Returns fitness [n, 1] in float32; works on tracers.

    Raises:
      ValueError: where it does not belong to the genomes or has more than one column.
    """
    check_scores(where, genomes, fitness)
    check_one_objective(where, jnp.shape(fitness)[1])
    return jnp.asarray(fitness, jnp.float32)


def nothing(genomes: PyTree) -> Scored:
    """Returns the best so far of a search that has scored none of its stacked genomes yet."""
    return Scored(jax.tree.map(lambda leaf: jnp.zeros_like(leaf[:1]), genomes), jnp.full((1, 1), -jnp.inf))  # type: ignore


def better(best: Scored, genomes: PyTree, fitness: jax.Array) -> Scored:
    """Returns the best so far after a generation; NaN and infinity never become it.

    Args:
      best: the best so far, stacked genomes [1, ...] and fitness [1, 1].
      genomes: stacked genomes [n, ...].
      fitness: [n, 1], larger is better.
    """
    usable = jnp.where(jnp.isfinite(fitness), fitness, -jnp.inf)
    index = jnp.argmax(usable[:, 0])
    wins = usable[index, 0] > best.fitness[0, 0]
    found = Scored(select(genomes, index[None]), usable[index][None])  # type: ignore
    return jax.tree.map(lambda new, old: jnp.where(wins, new, old), found, best)
