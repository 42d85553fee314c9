"""What every layer of a search space is, and the small functions that layers are made of.

B is the batch size, C the number of channels, which lie on the last axis.
"""

import abc
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxevo.pbt.genes import Choice, Gene

PyTree = Any
Choices = Mapping[str, Choice]

#: Nonlinearities by name. Each is zero at zero, so that channels that are not used stay zero.
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "identity": lambda x: x,
    "relu": jax.nn.relu,
    "leaky": lambda x: jax.nn.leaky_relu(x, 0.2),
    "swish": jax.nn.swish,
    "gelu": jax.nn.gelu,
    "tanh": jnp.tanh,
}

#: Share of the stored statistics that a step of batch normalisation keeps.
MOMENTUM = 0.9

#: What is added to variances.
EPSILON = 1e-5


class Extents(NamedTuple):
    """What of a layer an architecture uses.

    params, state: trees of `Extent` like the layer's params and state.
    gives: bool [C], which channels of its outputs are used.
    """

    params: PyTree
    state: PyTree
    gives: Any


class Layer(abc.ABC):
    """A place in an architecture: what may be chosen there, and how what was chosen runs.

    It holds arrays that are large enough for every choice, and says which part of them each choice uses. A layer is
    taken over as a whole: its choices, parameters and state together. One with a number `reads` has inputs of so many
    channels.

    name: unique in its architecture.
    genes: what may be chosen.
    """

    name: str

    @property
    @abc.abstractmethod
    def genes(self) -> tuple[Gene, ...]:
        """What may be chosen; names are unique in the layer."""

    @abc.abstractmethod
    def extents(self, choices: Choices, reads: Any) -> Extents:
        """Returns what of its arrays is used.

        Args:
          choices: by name of the gene; may be data.
          reads: bool [C], which channels of its inputs are used.
        """

    @abc.abstractmethod
    def init(self, key: jax.Array, extents: Any) -> tuple[PyTree, PyTree]:
        """Draws parameters and state at full size, scaled to what is used; the caller clears the rest.

        Args:
          key: a key.
          extents: of its params.
        """

    @abc.abstractmethod
    def apply(
        self, params: PyTree, state: PyTree, choices: Choices, inputs: jax.Array, key: jax.Array | None, train: bool
    ) -> tuple[jax.Array, PyTree]:
        """Runs it.

        Args:
          params, state: at full size and cleared where choices are data, cut where they are fixed.
          choices: by name of the gene.
          inputs: [B, ..., C].
          key: for what is random while it trains; None where it does not.
          train: whether it trains.

        Returns:
          The outputs, and the state after them.
        """

    def canonical(self, choices: Choices) -> dict[str, Any]:
        """Returns the indices of choices that make no difference, by name of the gene, with what stands for them."""
        del choices
        return {}


def check_options(layer: str, name: str, options: Any, known: Collection[Hashable]) -> None:
    """Refuses options of a layer that are not a tuple of different ones among those that are known."""
    if isinstance(options, tuple) and options and len(set(options)) == len(options) and set(options) <= set(known):
        return
    raise ValueError(f"{layer!r}: {name} is {options!r}, expected a tuple of different ones of {list(known)}")


def check_counts(layer: str, **counts: Any) -> None:
    """Refuses numbers of a layer that are not whole and at least 1; of "widths", a tuple of different ones."""
    for name, value in counts.items():
        several = name == "widths"
        numbers = value if several and isinstance(value, tuple) else (value,)
        whole = all(isinstance(number, int) and not isinstance(number, bool) and number >= 1 for number in numbers)
        if not whole or not numbers or len(set(numbers)) < len(numbers) or several != isinstance(value, tuple):
            wanted = "a tuple of different whole numbers" if several else "a whole number"
            raise ValueError(f"{layer!r}: {name} is {value!r}, expected {wanted} of at least 1")


def activated(choice: Choice, inputs: jax.Array) -> jax.Array:
    """Returns the inputs after the nonlinearity that was chosen."""
    return choice.pick({name: lambda name=name: ACTIVATIONS[name](inputs) for name in choice.options})


def drawn(key: jax.Array, shape: tuple[int, ...], fan: Any) -> jax.Array:
    """Draws from U(-a, a) with a = sqrt(6 / fan); fan is what goes in and out of a unit (Glorot and Bengio 2010).

    Args:
      key: a key.
      shape: at full size.
      fan: of what is used; may be traced, 0 where nothing is.
    """
    return jax.random.uniform(key, shape, minval=-1, maxval=1) * jnp.sqrt(6 / jnp.maximum(fan, 1))


def normalised(
    choice: Choice, params: PyTree, state: PyTree, inputs: jax.Array, train: bool
) -> tuple[jax.Array, PyTree]:
    """Returns the inputs after the normalisation that was chosen, and the state after it.

    Args:
      choice: among "none", "batch" (arXiv 1502.03167) and "instance" (arXiv 1607.08022).
      params: "scale" and "bias" [C].
      state: "mean" and "var" [C], those of batch normalisation.
      inputs: [B, ..., C].
      train: whether statistics are those of the batch.
    """
    found = dict(state)

    def stored() -> jax.Array:
        axes = tuple(range(inputs.ndim - 1))
        if not train:
            return standardised(state["mean"], state["var"])
        mean, var = inputs.mean(axes), inputs.var(axes)
        for name, fresh in (("mean", mean), ("var", var)):
            found[name] = MOMENTUM * state[name] + (1 - MOMENTUM) * fresh
        return standardised(mean, var)

    def own() -> jax.Array:
        axes = tuple(range(1, inputs.ndim - 1))
        return standardised(inputs.mean(axes, keepdims=True), inputs.var(axes, keepdims=True))

    def standardised(mean: jax.Array, var: jax.Array) -> jax.Array:
        return (inputs - mean) * jax.lax.rsqrt(var + EPSILON) * params["scale"] + params["bias"]

    ways = {"none": lambda: inputs, "batch": stored, "instance": own}
    return choice.pick({name: ways[name] for name in choice.options}), found


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
