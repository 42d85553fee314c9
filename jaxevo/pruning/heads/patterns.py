"""Patterns: what of a head is active, how it runs with the rest masked, and how it is cut down to that.

A head of L hidden layers has L + 1 groups of units that may be pruned, its features first. w is the number of units of
a group, B the batch size.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any


class Pattern(NamedTuple):
    """What of a head is active.

    columns: int [w], which of the inputs are the features, None for all of them in order.
    units: for each of the L + 1 groups bool [w], which units are active, or None where all are.
    links: for each of the L hidden layers bool [from, to], which connections are active, or None where all are.
    """

    columns: Any
    units: tuple[Any, ...]
    links: tuple[Any, ...]


def run(params: PyTree, pattern: Pattern, inputs: jax.Array) -> jax.Array:
    """Runs a head with a pattern; what is not active neither reaches the outputs nor gets a gradient.

    Args:
      params: of the head, see `Head`.
      pattern: of the same widths; may be traced.
      inputs: [B, ...], features on the last axis.

    Returns:
      Logits [B, C].
    """
    *inner, last = params
    features = inputs if pattern.columns is None else inputs[..., pattern.columns]
    features = _masked(features, pattern.units[0])
    for layer, links, units in zip(inner, pattern.links, pattern.units[1:], strict=True):
        # The mask lies on activations, not on kernels: exact zeros in both directions, for less work.
        features = _masked(jax.nn.relu(features @ _masked(layer["kernel"], links) + layer["bias"]), units)
    return features @ last["kernel"] + last["bias"]


def cleared(params: PyTree, pattern: Pattern) -> PyTree:
    """Returns the parameters of a head with zeros for what is not active."""
    found = []
    for index, layer in enumerate(params):
        rows, hidden = pattern.units[index], index < len(pattern.links)
        columns = pattern.units[index + 1] if hidden else None
        kernel = _masked(layer["kernel"], pattern.links[index] if hidden else None)
        kernel = kernel if rows is None else kernel * rows[:, None]
        found.append({"kernel": _masked(kernel, columns), "bias": _masked(layer["bias"], columns)})
    return found


def places(pattern: Pattern, widths: Sequence[int], multiple: int) -> tuple[np.ndarray, ...]:
    """Chooses the units that stay when a head is cut down.

    Args:
      pattern: on the host.
      widths: of the groups, without the output's.
      multiple: what numbers of units are rounded up to a multiple of.

    Returns:
      For each group indices of units, the active ones first, each in order; filled up with inactive ones.
    """
    chosen = []
    for units, width in zip(pattern.units, widths, strict=True):
        active = np.ones(width, bool) if units is None else np.asarray(units)
        order = np.argsort(~active, kind="stable")
        chosen.append(order[: room(active.sum(), width, multiple)])
    return tuple(chosen)


def room(active: Any, width: int, multiple: int) -> Any:
    """Returns how many units stay of a group of `width`: the active ones rounded up, at least 1; traceable."""
    numbers = jnp if isinstance(active, jax.Array) else np
    return numbers.clip(-(-active // multiple) * multiple, min(width, multiple), width)


def cut(params: PyTree, at: Sequence[np.ndarray]) -> PyTree:
    """Returns the parameters of a head with the units at these places only."""
    found = []
    for index, layer in enumerate(params):
        kernel, bias = layer["kernel"][at[index]], layer["bias"]
        if index + 1 < len(at):
            kernel, bias = kernel[:, at[index + 1]], bias[at[index + 1]]
        found.append({"kernel": kernel, "bias": bias})
    return found


def cut_pattern(pattern: Pattern, at: Sequence[np.ndarray], widths: Sequence[int]) -> Pattern:
    """Returns what of a head that was cut is active; features that all stay are not looked up."""
    whole = len(at[0]) == widths[0] and np.array_equal(at[0], np.arange(widths[0]))
    units = tuple(
        None if mask is None else np.asarray(mask)[place] for mask, place in zip(pattern.units, at, strict=True)
    )
    links = tuple(
        None if mask is None else np.asarray(mask)[rows][:, columns]
        for mask, rows, columns in zip(pattern.links, at[:-1], at[1:], strict=True)
    )
    return Pattern(None if whole else at[0].astype(np.int32), units, links)


def paste(small: PyTree, at: Sequence[np.ndarray], like: PyTree) -> PyTree:
    """Puts the parameters of a head that was cut back to their places, zeros everywhere else."""
    found = []
    for index, (layer, whole) in enumerate(zip(small, like, strict=True)):
        kernel, bias = (np.zeros(np.shape(whole[name]), np.asarray(layer[name]).dtype) for name in ("kernel", "bias"))
        columns = at[index + 1] if index + 1 < len(at) else np.arange(len(bias))
        kernel[np.ix_(at[index], columns)] = layer["kernel"]
        bias[columns] = layer["bias"]
        found.append({"kernel": kernel, "bias": bias})
    return found


def _masked(values: Any, mask: Any) -> Any:
    return values if mask is None else values * mask
