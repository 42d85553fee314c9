"""How functions among the settings of a run are known, of which a checkpoint can hold no bits."""

import functools
from typing import Any

import jax
import numpy as np

from jaxevo.checkpoint.leaves import digest


def known_as(function: Any) -> str:
    """Returns the name by which a run that is continued knows a function, the same in every process.

    Args:
      function: one that has a `name` holding its settings; a `functools.partial`, known with the numbers, strings,
        arrays and functions that it was given; or any other, which is known by the name that its definition gives it,
        and by nothing that it closes over.
    """
    if isinstance(function, functools.partial):
        named = (f"{name}={_written(value)}" for name, value in sorted(function.keywords.items()))
        return f"{known_as(function.func)}({', '.join([*map(_written, function.args), *named])})"
    return str(getattr(function, "name", getattr(function, "__qualname__", type(function).__qualname__)))


def _written(value: Any) -> str:
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return f"array {digest(value)}"
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_written, value))})"
    # Of anything else, what is printed may hold an address, which the next process has not.
    return repr(value) if isinstance(value, str | int | float | None) else known_as(value)
