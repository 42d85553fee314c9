"""Programs that are compiled sooner, since it is compiling them that takes time."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.core
import jax.numpy as jnp

#: Levels of optimisation on a CPU: what runs once is compiled in less than half of the time and runs three times as
#: long; what runs often is compiled in two thirds of the time and runs as fast, to 1%.
ONCE, OFTEN = 0, 2


@functools.cache
def compiler_options(level: int) -> dict[str, Any]:
    """Returns the options of `jax.jit` for a program that a CPU compiles with less optimisation.

    Args:
      level: `ONCE` or `OFTEN`.
    """
    # Emitters of fusions set up a context of MLIR for each, which takes a third of the time at these levels. Not every
    # release of XLA has others.
    options = {"xla_backend_optimization_level": level, "xla_cpu_use_fusion_emitters": False}
    if level == ONCE:
        # Cut into parts for several threads, such a program takes up to a third longer to compile.
        options["xla_cpu_parallel_codegen_split_count"] = 1
    return {name: value for name, value in options.items() if takes(name, value)}


def takes(name: str, value: Any) -> bool:
    """Returns whether this release of XLA takes an option of `jax.jit`: they come and go."""
    try:
        jax.jit(lambda number: number, compiler_options={name: value}).lower(0.0).compile()
    except jax.errors.JaxRuntimeError as error:
        if "INVALID_ARGUMENT" not in str(error):
            raise
        return False
    return True


def briefly(*static: int) -> Callable[[Callable], Callable]:
    """Makes a decorator for functions that run so seldom that compiling them is what takes time.

    As `jax.jit`, but that CPUs compile without optimisation, in less than half of the time. Inside of another program
    the function is part of that.

    Args:
      *static: places of arguments that are part of the program.
    """

    def decorate(function: Callable) -> Callable:
        @functools.cache
        def compiled(outermost: bool) -> Callable:
            brief = outermost and jax.default_backend() == "cpu"
            options = compiler_options(ONCE) if brief else None
            return jax.jit(function, static_argnums=static, compiler_options=options)

        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(arguments))
            # Options are for whole programs.
            return compiled(not traced)(*arguments)

        return call

    return decorate


@briefly()
def fold_in(key: jax.Array, number: jax.typing.ArrayLike) -> jax.Array:
    """Folds a number into a key as `jax.random.fold_in` does, by a program that takes less time to compile."""
    return jax.random.fold_in(key, number)


@briefly(1)
def numbered_keys(key: jax.Array, count: int) -> jax.Array:
    """Returns as many keys in one array, the i-th of which is `fold_in(key, i)`, as `split_key` has them apart."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(count))


def split_key(key: jax.Array, count: int) -> tuple[jax.Array, ...]:
    """Splits a key into keys apart, the i-th of which is `fold_in(key, i)`: that program is there already."""
    return tuple(fold_in(key, number) for number in range(count))
