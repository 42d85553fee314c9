"""The algorithms of the evosax library: by name, built for genomes of some shape, with their settings checked.

d is how many numbers a genome holds, n the size of the population.
"""

import dataclasses
import difflib
import functools
import inspect
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.search.resuming import program_digest
from jaxevo.space import Space

PyTree = Any

#: What the arguments of a strategy's class may not set: they are set here, or name a pickled file.
RESERVED = ("population_size", "solution", "sampling_fn", "metrics_fn", "params_path")


@functools.cache
def strategies() -> dict[str, type]:
    """Returns the strategies of evosax by the names of their classes, and those that it lists under shorter ones.

    Imported when first asked for: evosax computes while it is imported, which starts JAX, so that a program could not
    call `jax.distributed.initialize` after `import jaxevo`.
    """
    from evosax.algorithms import algorithms

    return {kind.__name__: kind for kind in algorithms.values()} | dict(algorithms)


class Shapes(NamedTuple):
    """What genomes look like, hashable."""

    structure: Any
    leaves: tuple[jax.ShapeDtypeStruct, ...]

    @classmethod
    def of(cls, genome: PyTree) -> "Shapes":
        """Returns the shapes of a pytree of `ShapeDtypeStruct`."""
        leaves, structure = jax.tree.flatten(genome)
        return cls(structure, tuple(leaves))

    def ravel(self, genomes: PyTree) -> jax.Array:
        """Returns stacked genomes as float32 [n, d]."""
        leaves = jax.tree.leaves(genomes)
        return jnp.concatenate([leaf.reshape(len(leaf), -1).astype(jnp.float32) for leaf in leaves], axis=1)

    def unravel(self, flat: jax.Array) -> PyTree:
        """Returns [n, d] as stacked genomes."""
        ends = np.cumsum([np.prod(leaf.shape, dtype=int) for leaf in self.leaves])[:-1]
        parts = zip(jnp.split(flat, ends, axis=1), self.leaves, strict=True)
        leaves = [part.reshape(-1, *leaf.shape).astype(leaf.dtype) for part, leaf in parts]
        return jax.tree.unflatten(self.structure, leaves)


@dataclasses.dataclass(frozen=True, eq=False)
class Machine:
    """A strategy of evosax for genomes of some shape, hashed by identity: compiled programs are kept for each.

    algorithm: the strategy.
    shapes: of the genomes.
    keeps: whether it keeps a population (and starts from a scored one) rather than a distribution.
    groups: how many populations it divides its own into, None where it has but one mean.
    """

    algorithm: Any
    shapes: Shapes
    keeps: bool
    groups: int | None

    def start(self, key: jax.Array, flat: jax.Array, losses: jax.Array, first: jax.Array | None, params: Any) -> Any:
        """Returns evosax's first state.

        Args:
          key: a key.
          flat: genomes [n, d]: the first population, or those of which the mean is the start of a distribution.
          losses: [n] of a population; a distribution does not read them.
          first: [d], the start of a distribution in place of the mean, or None.
          params: evosax's parameters.
        """
        if self.keeps:
            return strong(self.algorithm.init(key, flat, losses, params))
        means = flat.reshape(self.groups or 1, -1, flat.shape[1]).mean(axis=1)
        means = means if first is None else jnp.broadcast_to(first, means.shape)
        return strong(self.algorithm.init(key, means[0] if self.groups is None else means, params))


def _no_metrics(*_: Any) -> dict[str, Any]:
    """evosax's own metrics are left out: the loop has those that all strategies have."""
    return {}


@functools.lru_cache(maxsize=128)
def build(name: str, population: int, shapes: Shapes, options: tuple[tuple[str, Any], ...]) -> Machine:
    """Builds a strategy of evosax; equal arguments give the same one, whose programs are compiled already."""
    dims = sum(int(np.prod(leaf.shape, dtype=int)) for leaf in shapes.leaves)
    from evosax.algorithms.population_based.base import PopulationBasedAlgorithm

    given, keeps = dict(options), issubclass(strategies()[name], PopulationBasedAlgorithm)
    groups = given.get("num_populations")
    whole = groups is None or (isinstance(groups, int) and groups > 0 and population % groups == 0)
    if not whole or population // (groups or 1) < 2:
        raise ValueError(
            f"evosax: options['num_populations'] is {groups!r}, expected a whole number that divides population "
            f"{population} into populations of at least 2"
        )
    if "sampling_fn" in given:
        sample = given["sampling_fn"]
        given["sampling_fn"] = lambda key: shapes.ravel(sample(key, 1))[0]
    if name == "LM_MA_ES" and population > 2 * dims:
        raise ValueError(
            f"evosax: population is {population} for {dims} numbers in a genome, but LM_MA_ES, made for long genomes, "
            f"gives NaN above {2 * dims}; choose fewer, or MA_ES"
        )
    # evosax checks its arguments by assertions.
    try:
        algorithm = strategies()[name](
            population // (groups or 1), solution=jnp.zeros(dims), metrics_fn=_no_metrics, **given
        )
    except (AssertionError, TypeError, ValueError) as error:
        raise ValueError(
            f"evosax: {name} refuses population {population} with {dims} numbers in a genome and options "
            f"{dict(options)}: {error}"
        ) from error
    return Machine(algorithm, shapes, keeps, groups)


def check_algorithm(algorithm: Any) -> str:
    """Returns the name of a strategy of evosax.

    Raises:
      ValueError: where it is none; names the nearest.
    """
    names = sorted({kind.__name__ for kind in strategies().values()})
    if algorithm in names:
        return algorithm
    folded = {name.lower(): kind.__name__ for name, kind in strategies().items()}
    close = difflib.get_close_matches(str(algorithm).lower(), folded, n=1, cutoff=0)
    raise ValueError(
        f"evosax: algorithm is {algorithm!r}, expected the name of a strategy of evosax; "
        f"did you mean {folded[close[0]]!r}? All of them: {', '.join(names)}"
    )


def check_options(name: str, options: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Returns the arguments of the strategy's class, with those that it needs.

    Raises:
      TypeError, ValueError: where they are not what it takes, or not hashable.
    """
    if not isinstance(options, Mapping):
        raise TypeError(f"evosax: options is {options!r}, expected a dictionary of arguments of {name}")
    accepted = list(inspect.signature(strategies()[name]).parameters)
    free = [argument for argument in accepted if argument not in RESERVED]
    for argument, value in options.items():
        if argument not in free:
            raise ValueError(f"evosax: options has {argument!r}, expected arguments of {name} among {free}")
        try:
            hash(value)
        except TypeError:
            raise TypeError(
                f"evosax: options[{argument!r}] is {value!r}, expected something hashable, by which its compiled "
                "programs are found again"
            ) from None
    needed: dict[str, Any] = {"sampling_fn": space.sample} if "sampling_fn" in accepted else {}
    if "num_populations" in accepted:
        needed["num_populations"] = 2
    return {**needed, **options}


def check_params(name: str, defaults: Any, params: Mapping[str, Any]) -> Any:
    """Returns evosax's parameters as arrays, some of them replaced.

    Raises:
      TypeError, ValueError: where one is no parameter of the strategy, or no number.
    """
    if not isinstance(params, Mapping):
        raise TypeError(f"evosax: params is {params!r}, expected a dictionary of numbers")
    # Parameters that are arrays or networks come out of the others, or of evosax's own training.
    scalar = int | float | np.generic | jax.Array
    numbers = {
        name: value for name, value in vars(defaults).items() if isinstance(value, scalar) and not np.ndim(value)
    }
    chosen = {}
    for field, value in params.items():
        if field not in numbers:
            raise ValueError(f"evosax: params has {field!r}, expected parameters of {name} among {sorted(numbers)}")
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not np.isfinite(value):
            raise ValueError(f"evosax: params[{field!r}] is {value!r}, expected a finite number")
        chosen[field] = jnp.asarray(value, jnp.result_type(numbers[field]))
    return strong(defaults.replace(**chosen))


def identify(machine: Machine, options: Mapping[str, Any], params: Any) -> dict[str, Any]:
    """Returns what a checkpoint remembers of the options.

    They themselves; where they are functions, a digest of what they make of the strategy.
    """
    plain = {name: value for name, value in options.items() if name != "sampling_fn"}
    try:
        json.dumps(plain)
        return plain
    except TypeError:
        return dict.fromkeys(plain, "a function") | {"program": _program(machine, params)}


def _program(machine: Machine, params: Any) -> str:
    def whole(key, flat, losses, params):
        search = machine.start(key, flat, losses, None, params)
        drawn, search = machine.algorithm.ask(key, search, params)
        return machine.algorithm.tell(key, drawn, losses, search, params)[0]

    population = machine.algorithm.population_size * (machine.groups or 1)
    flat = jax.ShapeDtypeStruct((population, machine.algorithm.num_dims), jnp.float32)
    losses = jax.ShapeDtypeStruct((population,), jnp.float32)
    return program_digest(whole, jax.random.key(0, impl="threefry2x32"), flat, losses, params)


def strong(tree: PyTree) -> PyTree:
    """Returns the tree as arrays with dtypes of their own.

    evosax starts from Python numbers: once they have become arrays, every program would be compiled again.
    """
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, jnp.result_type(leaf)), tree)


def cast_like(tree: PyTree, like: PyTree) -> PyTree:
    """Returns the tree with the dtypes of another: where numbers are 64 bits wide by default, evosax mixes both."""
    return jax.tree.map(lambda leaf, other: jax.lax.convert_element_type(leaf, other.dtype), tree, like)
