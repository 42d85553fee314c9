"""Checks at the door that many rooms need: of networks, their weights, flags, functions, paths and names."""

import difflib
import os
import pathlib
from collections.abc import Iterable
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from jaxevo.network import Network, PyTree


def check_network(where: str, name: str, network: Any) -> Network:
    """Returns the network, or raises TypeError, starting with `where`, unless the argument `name` is a `Network`."""
    if not isinstance(network, Network):
        raise TypeError(
            f"{where}: {name} is a {type(network).__name__}, expected a jaxevo.Network; make one with jaxevo.from_flax "
            "or another door"
        )
    return network


def check_weights(where: str, name: str, params: PyTree) -> None:
    """Refuses parameters with NaN or infinity, which would spread to all that is made of them.

    Args:
      where: whose argument it is, the start of the message.
      name: what the argument is called.
      params: pytree of arrays; `ShapeDtypeStruct`s and leaves that are no floating numbers are let through.

    Raises:
      ValueError: where a number is not finite; names the first such array.
    """
    for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]:
        held = isinstance(leaf, jax.Array | np.ndarray) and not isinstance(leaf, jax.core.Tracer)
        if held and jnp.issubdtype(leaf.dtype, jnp.floating) and not np.isfinite(np.asarray(leaf, np.float32)).all():
            place = jax.tree_util.keystr(path, simple=True, separator="/")
            raise ValueError(
                f"{where}: params of {name} hold NaN or infinity, first in {place!r}, expected finite numbers; take "
                "the weights from before training diverged"
            )


def check_flag(where: str, name: str, value: Any) -> bool:
    """Returns the value, or raises TypeError, starting with `where`, unless it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{where}: {name} is {value!r}, expected True or False")
    return bool(value)


def check_size(where: str, name: str, value: Any) -> int:
    """Returns the value, or raises ValueError, starting with `where`, unless it is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{where}: {name} is {value!r}, expected a whole number of at least 1")
    return int(value)


def check_path(where: str, name: str, value: Any) -> pathlib.Path:
    """Returns the value as a path, or raises TypeError, starting with `where`, unless it is a string or a path."""
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{where}: {name} is {value!r}, expected a path, as a string or a pathlib.Path")
    return pathlib.Path(value)


def check_function(where: str, name: str, value: Any, signature: str) -> None:
    """Raises TypeError, starting with `where`, unless the value can be called; `signature` says with what."""
    if not callable(value):
        raise TypeError(f"{where}: {name} is {value!r}, expected a function {signature}")


def as_numbers(where: str, name: str, value: Any) -> np.ndarray:
    """Returns the value as a float64 array.

    Raises:
      ValueError: where it holds anything but real numbers, or rows of different length; starts with `where`.
    """
    try:
        found = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{where}: {name} is {value!r}, expected an array of numbers ({error})") from None
    if not (np.issubdtype(found.dtype, np.number) or found.dtype == bool) or np.iscomplexobj(found):
        shown = f"{list(found.shape)} of {found.dtype}" if found.ndim else repr(value)
        raise ValueError(f"{where}: {name} is {shown}, expected real numbers")
    return found.astype(np.float64)


def nearest(value: Any, known: Iterable[str]) -> str:
    """Returns "did you mean 'name'? " for the known name that is most like a value, "" where none is."""
    close = difflib.get_close_matches(value, known, n=1) if isinstance(value, str) else []
    return f"did you mean {close[0]!r}? " if close else ""
