"""What a traced program captured: arrays that it holds instead of taking them as arguments."""

import jax
import numpy as np
from jax.extend import core


def captured_bytes(function, *arguments) -> int:
    """Returns the size of the largest constant captured anywhere in the trace of a function, nested programs included.

    Args:
      function: any function that `jax.make_jaxpr` can trace, compiled or not.
      *arguments: its arguments, arrays or `ShapeDtypeStruct`s.

    Returns:
      Bytes of the largest constant, 0 where there is none.
    """
    return max((_size(constant) for constant in _constants(jax.make_jaxpr(function)(*arguments))), default=0)


def _size(constant) -> int:
    return int(np.prod(np.shape(constant), dtype=np.int64)) * getattr(constant, "dtype", np.dtype("float64")).itemsize


def _constants(value):
    # Since jax 0.12 the open and the closed kind are one class.
    if isinstance(value, core.ClosedJaxpr | core.Jaxpr):
        yield from getattr(value, "consts", ())
        for eqn in value.eqns:
            yield from (atom.val for atom in eqn.invars if isinstance(atom, core.Literal))
            for parameter in eqn.params.values():
                yield from _constants(parameter)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _constants(part)
