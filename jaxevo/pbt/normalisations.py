"""Normalisations that layers may choose: of features, and of kernels by their largest singular value.

For each: what of its arrays is used, how they begin, and how it runs. C is the number of channels, on the last axis.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxevo.pbt.extents import Extent
from jaxevo.pbt.genes import Choice

Arrays = dict[str, Any]

#: Share of the stored statistics that a step of batch normalisation keeps.
MOMENTUM = 0.9

#: What is added to variances.
EPSILON = 1e-5


def feature_extents(choice: Choice, gives: Any) -> tuple[Arrays, Arrays]:
    """Returns what is used of the params and the state of a normalisation of features, as `feature_arrays` makes them.

    Args:
      choice: among "none", "batch", "instance" and "layer".
      gives: bool [C], the channels that are used.
    """
    params: Arrays = {}
    state: Arrays = {}
    if set(choice.options) != {"none"}:
        axis = gives & choice.number([name != "none" for name in choice.options])
        params = {name: Extent((axis,)) for name in ("scale", "shift")}
    if "batch" in choice.options:
        axis = gives & choice.number([name == "batch" for name in choice.options])
        state = {name: Extent((axis,)) for name in ("mean", "var")}
    return params, state


def feature_arrays(options: Sequence[str], channels: int) -> tuple[Arrays, Arrays]:
    """Returns params "scale" and "shift" and state "mean" and "var", as far as one of the options needs them."""
    params = {} if set(options) == {"none"} else {"scale": jnp.ones(channels), "shift": jnp.zeros(channels)}
    return params, {"mean": jnp.zeros(channels), "var": jnp.ones(channels)} if "batch" in options else {}


def normalised(
    choice: Choice, params: Arrays, state: Arrays, inputs: jax.Array, train: bool, used: Any = True
) -> tuple[jax.Array, Arrays]:
    """Returns the inputs after the normalisation that was chosen, and what its state has become.

    Args:
      choice: among "none", "batch" (arXiv 1502.03167), "instance" (arXiv 1607.08022) and "layer" (arXiv 1607.06450).
      params, state: of the layer, among them those of `feature_arrays`.
      inputs: [B, ..., C].
      train: whether statistics are those of the batch.
      used: bool [C], which channels count for "layer", beside which inputs are zero; True for all.
    """
    moved: Arrays = {}

    def stored() -> jax.Array:
        axes = tuple(range(inputs.ndim - 1))
        if not train:
            return standardised(inputs - state["mean"], state["var"])
        mean, var = inputs.mean(axes), inputs.var(axes)
        for name, fresh in (("mean", mean), ("var", var)):
            moved[name] = MOMENTUM * state[name] + (1 - MOMENTUM) * fresh
        return standardised(inputs - mean, var)

    def own() -> jax.Array:
        axes = tuple(range(1, inputs.ndim - 1))
        return standardised(inputs - inputs.mean(axes, keepdims=True), inputs.var(axes, keepdims=True))

    def over_channels() -> jax.Array:
        count = jnp.broadcast_to(used, inputs.shape[-1:]).sum()
        centred = jnp.where(used, inputs - inputs.sum(-1, keepdims=True) / count, 0)
        return standardised(centred, jnp.square(centred).sum(-1, keepdims=True) / count)

    def standardised(centred: jax.Array, var: jax.Array) -> jax.Array:
        return centred * jax.lax.rsqrt(var + EPSILON) * params["scale"] + params["shift"]

    ways = {"none": lambda: inputs, "batch": stored, "instance": own, "layer": over_channels}
    return choice.pick({name: ways[name] for name in choice.options}), moved


def kernel_extents(choice: Choice, axes: Mapping[str, Any]) -> Arrays:
    """Returns what is used of the singular vectors of kernels, where one of the options needs them.

    Args:
      choice: whether kernels are divided by their largest singular value.
      axes: by name of the vector bool [C], which of the kernel's outputs are used.
    """
    if True not in choice.options:
        return {}
    chosen = choice.number(choice.options)
    return {name: Extent((axis & chosen,)) for name, axis in axes.items()}


def kernel_arrays(key: jax.Array, options: Sequence[bool], axes: Mapping[str, Any]) -> Arrays:
    """Draws singular vectors of a length about 1, where one of the options needs them; axes as in `kernel_extents`."""
    if True not in options:
        return {}
    keys = jax.random.split(key, len(axes))
    return {
        name: jax.random.normal(own, axis.shape) / jnp.sqrt(jnp.maximum(axis.sum(), 1))
        for own, (name, axis) in zip(keys, axes.items(), strict=True)
    }


def divided(choice: Choice, kernel: jax.Array, name: str, state: Arrays, found: Arrays, train: bool) -> jax.Array:
    """Returns a kernel after the normalisation that was chosen; the vector after it goes to what is found.

    Where choices are data, several ways use a kernel: each begins with the vector of the state, so that it moves once.

    Args:
      choice: whether it is divided by its largest singular value.
      kernel: [..., C].
      name: of its singular vector in state and found.
      state, found: of the layer, before and after it has run.
      train: whether the vector moves.
    """

    def by_largest() -> jax.Array:
        normal, found[name] = spectral(kernel, state[name], train)
        return normal

    ways = {False: lambda: kernel, True: by_largest}
    return choice.pick({option: ways[option] for option in choice.options})


def spectral(kernel: jax.Array, vector: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
    """Divides a kernel by its largest singular value, as one step of the power method finds it (arXiv 1802.05957).

    Args:
      kernel: [..., C], read as a matrix.
      vector: [C], the estimate of the singular vector that the step begins with.
      train: whether the estimate moves.

    Returns:
      The kernel, and the estimate after the step.
    """
    matrix = kernel.reshape(-1, kernel.shape[-1])
    if not kernel.size:
        return kernel, vector

    def unit(x: jax.Array) -> jax.Array:
        return x / jnp.maximum(jnp.sqrt(jnp.square(x).sum()), 1e-12)

    fixed = jax.lax.stop_gradient(matrix)
    left = unit(fixed @ vector)
    moved = unit(left @ fixed) if train else vector
    largest = left @ matrix @ moved
    return kernel / jnp.maximum(largest, 1e-12), moved
