"""Programs that run so seldom that compiling them is what takes time."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.core


def briefly(*static: int) -> Callable[[Callable], Callable]:
    """Makes a decorator for functions that run so seldom that compiling them is what takes time.

    As `jax.jit`, but that CPUs compile without optimisation, in a third of the time. Inside of another program the
    function is part of that.

    Args:
      *static: places of arguments that are part of the program.
    """

    def decorate(function: Callable) -> Callable:
        @functools.cache
        def compiled(outermost: bool) -> Callable:
            brief = outermost and jax.default_backend() == "cpu"
            options = {"xla_backend_optimization_level": 0} if brief else None
            return jax.jit(function, static_argnums=static, compiler_options=options)

        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(arguments))
            # Options are for whole programs.
            return compiled(not traced)(*arguments)

        return call

    return decorate
