"""The table of operators: one small function per ONNX operator, over numpy where all is known and jax.numpy otherwise.

A value is *static* while it depends on neither the inputs nor the parameters of the network: it is then a numpy array
of ONNX's own dtype (int64 stays int64) and never reaches the traced graph. Everything else is a JAX array.
"""

import math
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Value = np.ndarray | jax.Array
#: `(call, *inputs) -> output or tuple of outputs`; an input that the node leaves out is None.
Operator = Callable[..., Any]

#: Elements of a constant that is computed while a file is read; a few bytes can ask for any number.
MOST_ELEMENTS = 2**25
#: The same where one number is repeated, which takes no memory until it is used.
MOST_REPEATED = 2**31

_TABLE: dict[tuple[str, str], Operator] = {}


class Call(NamedTuple):
    """One node as its function sees it.

    operator: its type, such as "Conv".
    name: what messages call it.
    opset: version of the operator set of its domain that the file was written for.
    attributes: its attributes as Python values: int, float, str, bytes that are no text, numpy array, tuples of these;
      a graph is a function that runs it, `(*inputs) -> tuple of outputs`.
    outputs: which of its outputs something reads, in order; where False, None may be returned.
    """

    operator: str
    name: str
    opset: int
    attributes: Mapping[str, Any]
    outputs: tuple[bool, ...]

    def get(self, name: str, default: Any = None) -> Any:
        """Returns an attribute, or `default` where the node leaves it out."""
        return self.attributes.get(name, default)

    def refuse(self, reason: str) -> ValueError:
        """Returns the error to raise for a node that is understood but cannot be run."""
        return ValueError(f"from_onnx: node {self.name!r} ({self.operator}): {reason}")

    def static(self, value: Value | None, what: str) -> np.ndarray:
        """Returns a value that must be known before the network runs.

        Raises:
          ValueError: where it depends on the inputs or the parameters.
        """
        if not is_static(value):
            raise self.refuse(
                f"{what} depends on the network's inputs or parameters, expected a value that is known beforehand, "
                "since shapes are fixed when a network is compiled; export the model with this value as a constant"
            )
        return np.asarray(value)

    def check_room(self, shape: Sequence[int], most: int = MOST_ELEMENTS) -> None:
        """Raises ValueError where a constant of this shape would be larger than any network needs."""
        if math.prod(int(n) for n in shape) > most:
            raise self.refuse(
                f"makes a constant of shape {list(shape)}, expected at most {most} elements; "
                "check where the file comes from"
            )


def operator(*names: str, domain: str = "") -> Callable[[Operator], Operator]:
    """Enters a function into the table as the operators `names` of a domain."""

    def enter(function: Operator) -> Operator:
        for name in names:
            if (domain, name) in _TABLE:
                raise ValueError(f"operator {name!r} of domain {domain!r} has two functions, expected one")
            _TABLE[domain, name] = function
        return function

    return enter


def find(domain: str, name: str) -> Operator | None:
    """Returns the function of an operator, None where the table has none. Domain "ai.onnx" is ""."""
    return _TABLE.get(("" if domain == "ai.onnx" else domain, name))


def known() -> tuple[tuple[str, str], ...]:
    """Returns (domain, name) of every operator in the table, sorted."""
    return tuple(sorted(_TABLE))


def is_static(*values: Value | None) -> bool:
    """Returns whether all of these values are known before the network runs; a missing one is."""
    return all(value is None or isinstance(value, np.ndarray | np.generic) for value in values)


def module_of(*values: Value | None) -> types.ModuleType:
    """Returns numpy where all values are static, so that what it computes stays so, and jax.numpy otherwise."""
    return np if is_static(*values) else jnp
