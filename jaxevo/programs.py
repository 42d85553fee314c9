"""Programs that run so seldom that compiling them is what takes time."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.core

#: How CPUs compile what runs once: in half of the time, and it runs three times as long.
_ONCE = {"xla_backend_optimization_level": 0}

#: How CPUs compile what runs some hundred times: in two thirds of the time, and it runs a twentieth longer. Where fusions
#: are not emitted by way of MLIR, no context of it is set up for each.
_SOME = {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False}


@functools.cache
def sooner() -> dict[str, Any]:
    """Returns the options of `jax.jit` for programs that run some hundred times on a CPU.

    Those that this release of XLA has: they come and go.
    """
    return {name: value for name, value in _SOME.items() if _is_known(name, value)}


def _is_known(name: str, value: Any) -> bool:
    try:
        jax.jit(lambda number: number, compiler_options={name: value}).lower(0.0).compile()
    except jax.errors.JaxRuntimeError as error:
        if "No such compile option" not in str(error):
            raise
        return False
    return True


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
            options = _ONCE if brief else None
            return jax.jit(function, static_argnums=static, compiler_options=options)

        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(arguments))
            # Options are for whole programs.
            return compiled(not traced)(*arguments)

        return call

    return decorate
