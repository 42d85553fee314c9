"""Genes: the choices that an architecture leaves open, taken by data or fixed beforehand.

The same code runs a member either way. Where choices are data, every way is computed and one is selected, so that one
program serves all architectures; where they are fixed, only the chosen way is there. G is the number of genes.
"""

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.programs import briefly


class Gene(NamedTuple):
    """One choice that a layer leaves open.

    name: what of the layer is chosen, such as "kernel".
    options: what there is to choose from, at least one; where there is only one, no gene of the genome stands for it.
    """

    name: str
    options: tuple[Hashable, ...]


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Fixed:
    """The genome of a compacted member: part of a program, not of its arguments.

    indices: of the option that each gene chooses.
    """

    indices: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Choice:
    """An option that was chosen.

    options: those of the gene.
    index: which of them: a number where it is fixed, a traced array where it is data.
    """

    options: tuple[Any, ...]
    index: Any

    @property
    def fixed(self) -> bool:
        """Whether the choice is part of the program."""
        return isinstance(self.index, int)

    def pick(self, ways: Mapping[Any, Callable[[], jax.Array]]) -> jax.Array:
        """Computes what the chosen option stands for.

        Args:
          ways: for each option a function without arguments; all of them give one shape where the choice is data.
            Options that share a function are computed once.
        """
        if self.fixed:
            return ways[self.options[self.index]]()
        distinct = list(dict.fromkeys(ways[option] for option in self.options))
        computed = [way() for way in distinct]
        if len(computed) == 1:
            return computed[0]
        which = jnp.asarray([distinct.index(ways[option]) for option in self.options])[self.index]
        return jax.lax.select_n(which, *(jnp.broadcast_to(one, computed[0].shape) for one in computed))

    def number(self, numbers: Sequence[Any]) -> Any:
        """Returns the number, or the array, that belongs to the chosen option.

        Args:
          numbers: one for each option.
        """
        return np.asarray(numbers)[self.index] if self.fixed else jnp.asarray(numbers)[self.index]


def chosen(genes: Sequence[Gene], genome: Any) -> list[Choice]:
    """Reads a genome.

    Args:
      genes: all that there are, those of one option included.
      genome: int [G], data where it is an array of JAX and fixed where it is one of NumPy; or `Fixed`.

    Returns:
      The choice of each gene, in order.
    """
    if isinstance(genome, Fixed):
        indices: Sequence[Any] = genome.indices
    elif isinstance(genome, jax.Array):
        indices = genome  # pyright: ignore[reportAssignmentType]
    else:
        indices = [int(index) for index in np.asarray(genome)]
    open_ones = iter(range(len(indices)))
    return [Choice(gene.options, indices[next(open_ones)] if len(gene.options) > 1 else 0) for gene in genes]


def sample(genes: Sequence[Gene], key: jax.Array, count: int) -> jax.Array:
    """Draws genomes in which each option of a gene occurs equally often, as far as `count` allows.

    The published code draws its first population so; what does not divide is drawn at random.

    Args:
      genes: those with more than one option, G of them.
      key: a key.
      count: n, how many genomes.

    Returns:
      int32 [n, G].
    """
    return _spread(tuple(len(gene.options) for gene in genes), key, count)


@briefly(0, 2)
def _spread(sizes: tuple[int, ...], key: jax.Array, count: int) -> jax.Array:
    numbers = np.arange(count, dtype=np.int32)

    def column(gene: tuple[jax.Array, jax.Array]) -> jax.Array:
        index, options = gene
        shuffle_key, rest_key = jax.random.split(jax.random.fold_in(key, index))
        # Which of those that do not divide it is; below 0 for all that do.
        left_over = numbers - (count - count % options)
        drawn = jax.random.randint(rest_key, (count,), 0, options)[jnp.maximum(left_over, 0)]
        return jax.random.permutation(shuffle_key, jnp.where(left_over < 0, numbers % options, drawn))

    # Compiled once for all genes: what draws takes long to compile.
    return jax.lax.map(column, (np.arange(len(sizes)), np.asarray(sizes, np.int32))).T
