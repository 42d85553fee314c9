"""Leaves of a pytree by name, as numpy arrays that files can hold, and back."""

import hashlib
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any


def rebuild(tree: PyTree, target: PyTree) -> PyTree:
    """Puts the leaves of a tree that was read without a target into the structure of one.

    Args:
      tree: pytree as `read` returns it.
      target: pytree with leaves of the same names; what they hold, and their shapes, do not matter.

    Returns:
      Pytree of the target's structure with the leaves of `tree`.

    Raises:
      ValueError: where names differ.
    """
    leaves = named(tree)
    paths, structure = jax.tree_util.tree_flatten_with_path(target)
    names = [name_of(path) for path, _ in paths]
    if set(names) != set(leaves):
        missing, extra = sorted(set(names) - set(leaves)), sorted(set(leaves) - set(names))
        raise ValueError(
            f"rebuild: the checkpoint does not fit the target: it lacks {missing[:5]} and has {extra[:5]} besides; "
            "restore it with the target that it was saved from"
        )
    return jax.tree.unflatten(structure, [leaves[name] for name in names])


def digest(tree: PyTree) -> str:
    """Returns a SHA-256 over the names, shapes, dtypes and bytes of all leaves: equal only where all bits are."""
    arrays, entries = encoded(tree)
    # Bits are the same whoever holds them; keys are no numbers.
    known = {
        name: {what: value for what, value in entry.items() if what != "kind" or value == "key"}
        for name, entry in entries.items()
    }
    total = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
    for name, array in sorted(named(arrays).items()):
        total.update(name.encode())
        total.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return total.hexdigest()


def name_of(path: tuple) -> str:
    """Returns what a leaf is called, by its path."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def named(tree: PyTree) -> dict[str, Any]:
    """Returns the leaves by name.

    Raises:
      ValueError: where two have the same.
    """
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    named = {name_of(path): leaf for path, leaf in leaves}
    # Orbax joins names of its own with dots.
    if min(len(named), len({name.replace("/", ".") for name in named})) != len(leaves):
        raise ValueError("write: two leaves of the tree have the same name; rename keys that contain '/' or '.'")
    return named


def encoded(tree: PyTree, copy: bool = False) -> tuple[PyTree, dict[str, dict]]:
    """Turns all leaves into numpy arrays with elements, and says by name what they were.

    Args:
      tree: pytree of arrays and Python numbers.
      copy: whether the arrays share nothing with the tree.

    Raises:
      TypeError: where a leaf is no array or number.
      ValueError: where two leaves have the same name.
    """
    array_of = np.array if copy else np.asarray
    named(tree)
    entries = {}

    def encode(path, leaf):
        name, entry = name_of(path), {}
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            entry = {"kind": "key", "generator": str(jax.random.key_impl(leaf))}
            array = array_of(jax.random.key_data(leaf))
        elif isinstance(leaf, jax.Array | np.ndarray | np.generic):
            entry = {"kind": "jax" if isinstance(leaf, jax.Array) else "numpy"}
            array = array_of(leaf)
        elif isinstance(leaf, bool | int | float):
            entry = {"kind": "python"}
            array = np.asarray(leaf)
        else:
            raise TypeError(f"write: leaf {name!r} is {leaf!r}, expected an array or a number; put text into metadata")
        if array.dtype.hasobject or array.dtype.kind in "USMm":
            raise TypeError(f"write: leaf {name!r} has dtype {array.dtype}, expected numbers; put text into metadata")
        entries[name] = {**entry, "shape": list(array.shape), "dtype": array.dtype.name}
        return array if array.size else np.zeros((1,), array.dtype)

    return jax.tree_util.tree_map_with_path(encode, tree), entries


def decoded(tree: PyTree, entries: dict[str, dict]) -> PyTree:
    """Turns arrays back into the leaves that `encoded` was given, whose entries say what they were.

    Raises:
      ValueError: where one has more bits than JAX is set to hold.
    """

    def decode(path, array):
        entry = entries[name_of(path)]
        if 0 in entry["shape"]:
            array = np.zeros(entry["shape"], array.dtype)
        if entry["kind"] == "key":
            return jax.random.wrap_key_data(jnp.asarray(array), impl=entry["generator"])
        if entry["kind"] == "python":
            return array.item()
        if entry["kind"] == "numpy":
            return array
        if jnp.asarray(array[:0] if array.ndim else array).dtype != array.dtype:
            raise ValueError(f"read: leaf {name_of(path)!r} has dtype {array.dtype}; enable jax_enable_x64 to read it")
        return jnp.asarray(array)

    return jax.tree_util.tree_map_with_path(decode, tree)
