"""`Strategy`: what proposes genomes and learns from their fitness, and the few operations on stacked genomes."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.network import Member
from jaxevo.programs import fold_in, split_key
from jaxevo.space import Space

PyTree = Any


class Scored(NamedTuple):
    """Genomes and what they scored.

    genomes: stacked genomes [n, ...]; in a space whose members are trained, stacked `Member`s.
    fitness: [n, m], larger is better.
    """

    genomes: PyTree
    fitness: np.ndarray


@dataclasses.dataclass(frozen=True)
class Strategy:
    """A search strategy: three pure functions over one state.

    In a space whose members are trained, what is called genomes here are `Member`s.

    A state is a NamedTuple of arrays with at least these fields:
      genomes: stacked genomes of the current population, whose structure never changes.
      fitness: [n, m] of those genomes, larger is better; without meaning (and for host strategies [n, 0]) before the
        first `tell`.
      generation: how many times `tell` was called, 0-d.
    It may have one more that the loop knows:
      archive: `Scored`, all that nothing ever scored dominates; what a run found is its front then.

    name: what messages and checkpoints call it.
    space: where its genomes come from.
    population: how many genomes it holds; `ask` may return fewer.
    init: `key -> state`.
    ask: `(key, state) -> genomes`, stacked; none at all where there is nothing left to try, which ends a run.
    tell: `(key, state, genomes, fitness) -> state`. That of a host strategy also takes the first few of the genomes
      that were asked for, since a budget cuts the last batch.
    host: whether `ask` and `tell` must run on the host; False where they can be traced.
    settings: its other settings, which a checkpoint remembers.
    report: `state -> dictionary` for the history, of numbers, arrays, and lists of what JSON can hold.
    check_objectives: raises a ValueError where the search cannot go by so many objectives. `tell` does as well; `run`
      and `step` ask before anything is scored, where the evaluation names its objectives.
    """

    name: str
    space: Space
    population: int
    init: Callable[[jax.Array], Any]
    ask: Callable[[jax.Array, Any], PyTree]
    tell: Callable[[jax.Array, Any, PyTree, Any], Any]
    host: bool
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    report: Callable[[Any], Mapping[str, Any]] = lambda _: {}
    check_objectives: Callable[[int], None] = lambda _: None


def check_space(where: str, space: Any, trained: bool = False) -> Space:
    """Returns the space.

    Args:
      where: whose argument it is, the start of the message.
      space: the argument.
      trained: whether members that are trained are held.

    Raises:
      TypeError: where it is none.
      ValueError: where its members are trained and such are not held.
    """
    if not isinstance(space, Space):
        raise TypeError(f"{where}: space is {space!r}, expected a jaxevo.Space; the systems make them")
    if space.init is not None and not trained:
        raise ValueError(
            f"{where}: members of space {space.name!r} are trained, expected a space of genomes alone; use "
            "search.nsga2 or search.random_search"
        )
    return space


def check_vectors(where: str, space: Space) -> None:
    """Refuses a space whose genomes are not one array of integers [G] each.

    Raises:
      ValueError: where they are not.
    """
    leaf = space.genome if isinstance(space.genome, jax.ShapeDtypeStruct) else None
    if leaf is None or leaf.ndim != 1 or not leaf.shape[0] or not np.issubdtype(leaf.dtype, np.integer):
        raise ValueError(
            f"{where}: genomes of space {space.name!r} are {space.genome}, expected one array of integers [G], "
            "an option for each gene; search other genomes with nsga2"
        )


def drawn(space: Space, key: jax.Array, count: int) -> PyTree:
    """Samples a space on the host: stacked genomes, or untrained members where members are trained."""
    if space.init is None:
        return on_host(space.sample(key, count))
    sample_key, init_key = split_key(key, 2)
    return _begun(space.init, init_key, space.sample(sample_key, count))


def breeder(space: Space) -> Callable[[jax.Array, PyTree, PyTree], PyTree]:
    """Makes the function that varies pairs of entries of a population.

    Args:
      space: whose `vary` decides; where members are trained, offspring begin anew by its `init`.

    Returns:
      `(key, a, b) -> offspring` on the host, stacked like a and b.
    """
    vary = jax.jit(space.vary)

    def breed(key: jax.Array, a: PyTree, b: PyTree) -> PyTree:
        if space.init is None:
            return on_host(vary(key, a, b))
        vary_key, init_key = split_key(key, 2)
        return _begun(space.init, init_key, vary(vary_key, a.genome, b.genome))

    return breed


def _begun(init: Callable[[jax.Array, PyTree], Member], key: jax.Array, genomes: PyTree) -> Member:
    """Returns untrained members on the host; the i-th begins by `fold_in(key, i)`.

    One by one: whatever else begins a member, such as mixing, has compiled that program already.
    """
    genomes = on_host(genomes)
    begun = [jax.device_get(init(fold_in(key, i), select(genomes, i))) for i in range(size(genomes))]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *begun)


def check_count(where: str, name: str, value: Any, least: int, most: int | None = None) -> int:
    """Returns a whole number within its range.

    Raises:
      TypeError: where it is no integer.
      ValueError: where it lies outside.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{where}: {name} is {value!r}, expected an integer")
    if value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ValueError(f"{where}: {name} is {value}, expected {bounds}")
    return int(value)


def size(genomes: PyTree) -> int:
    """Returns how many genomes are stacked.

    Raises:
      ValueError: where there are no arrays or their leading axes differ.
    """
    sizes = {np.shape(leaf)[0] if np.ndim(leaf) else -1 for leaf in jax.tree.leaves(genomes)}
    if len(sizes) != 1 or -1 in sizes:
        raise ValueError(f"genomes have leading axes {sorted(sizes)} (-1: none), expected arrays stacked on one axis")
    return sizes.pop()


def on_host(genomes: PyTree) -> PyTree:
    """Moves stacked genomes to the host; typed keys, which numpy cannot hold, stay what they are."""
    return jax.tree.map(lambda leaf: leaf if _is_key(leaf) else np.asarray(leaf), genomes)


def select(genomes: PyTree, index: Any) -> PyTree:
    """Picks genomes from a stack: those of an array of indices, stacked, or that of one index."""
    return jax.tree.map(lambda leaf: leaf[index], genomes)


def concatenate(stacks: Sequence[PyTree]) -> PyTree:
    """Joins stacks of genomes on the host."""

    def join(*leaves):
        return jnp.concatenate(leaves) if _is_key(leaves[0]) else np.concatenate(leaves)

    return jax.tree.map(join, *stacks)


def phenotypes(space: Space) -> Callable[[PyTree], np.ndarray]:
    """Makes the function that tells which genomes are the same network.

    Args:
      space: whose `canonical` decides.

    Returns:
      `genomes -> [n, 16]` uint8: 128-bit digests of the canonical genomes, equal for the same network. Two different
      networks out of a billion share one with a probability below 1e-20. Members count as the same by their genomes.
    """

    def identify(genomes: PyTree) -> np.ndarray:
        genomes = genomes.genome if isinstance(genomes, Member) else genomes
        count = size(genomes)
        if not count:
            return np.zeros((0, 16), np.uint8)
        hashes = [hashlib.blake2b(digest_size=16) for _ in range(count)]
        for leaf in jax.tree.leaves(space.canonicals(genomes)):
            rows = np.ascontiguousarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
            for row, digest in zip(rows.reshape(count, -1), hashes, strict=True):
                digest.update(row.tobytes())
        return np.stack([np.frombuffer(digest.digest(), np.uint8) for digest in hashes])

    return identify


def check_scores(where: str, genomes: PyTree, fitness: Any) -> None:
    """Checks that fitness belongs to genomes; works on tracers.

    Raises:
      ValueError: where it is not [n, m] with n genomes.
    """
    shape = np.shape(fitness)
    if len(shape) != 2 or shape[0] != size(genomes) or not shape[1]:
        raise ValueError(
            f"{where}: fitness is {list(shape)} for {size(genomes)} genomes, expected [population, objectives]; "
            "one objective alone is fitness[:, None]"
        )


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
