"""What every layer of a search space is, and the small functions that layers are made of.

B is the batch size, C the number of channels, which lie on the last axis.
"""

import abc
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxevo.checks import nearest
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
    strange = [one for one in options if one not in known] if isinstance(options, tuple) else []
    meant = nearest(strange[0], [one for one in known if isinstance(one, str)]) if strange else ""
    raise ValueError(f"{layer!r}: {name} is {options!r}, {meant}expected a tuple of different ones of {list(known)}")


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
