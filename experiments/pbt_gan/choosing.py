"""What wiring that depends on choices is made of."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.pbt import Choice


def either(flag: Any, yes: Any, no: Any) -> Any:
    """Returns one of two trees of arrays.

    Args:
      flag: bool; where it is data, the arrays have the same shapes.
      yes, no: the trees.
    """
    if not isinstance(flag, jax.Array):
        return yes if flag else no
    return jax.tree.map(lambda one, other: jnp.where(flag, one, other), yes, no)


def present(choice: Choice) -> Any:
    """Returns whether an operation is another than "none"; data where the choice is."""
    if "none" not in choice.options:
        return np.True_
    return choice.number([name != "none" for name in choice.options])
