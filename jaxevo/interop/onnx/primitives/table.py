"""The table of primitives: one small function for each of JAX's, which writes it with the operators of ONNX."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxevo.interop.onnx.emission import Emission
from jaxevo.interop.onnx.lengths import Length, common
from jaxevo.interop.onnx.views import View

#: `(call, *operands) -> view or tuple of views`.
Primitive = Callable[..., Any]

_TABLE: dict[str, Primitive] = {}


@dataclasses.dataclass(frozen=True)
class Call:
    """One equation as its function sees it.

    primitive: name of the JAX primitive.
    scope: names of the modules around it, "" where the network leaves none.
    emission: where nodes are written.
    shapes: lengths of the results' axes.
    dtypes: types of the results.
    inline: `(name of the parameter that holds a jaxpr, or the jaxprs themselves, operands) -> views`, which writes what
      is inside.
    """

    primitive: str
    scope: str
    emission: Emission
    shapes: tuple[tuple[Length, ...], ...]
    dtypes: tuple[np.dtype, ...]
    inline: Callable[[Any, Sequence[View]], tuple[View, ...]]
    _params: tuple[dict[str, Any], dict[str, Any]]

    def __getitem__(self, name: str) -> Any:
        """Returns what the equation is bound with, integers that follow the batch as `Batch`."""
        return common(self._params[0][name], self._params[1][name])

    def get(self, name: str, default: Any) -> Any:
        """Returns the same, or `default` where this release of JAX binds the equation without it."""
        return self[name] if name in self._params[0] else default

    def pair(self, name: str) -> tuple[Any, Any]:
        """Returns what the equation is bound with at both batch sizes."""
        return self._params[0][name], self._params[1][name]

    def result(self, tensor: str, axes: Sequence[int | None] | None = None, index: int = 0) -> View:
        """Returns the view of a result that was written, with its axes as they come or as said."""
        axes = range(len(self.shapes[index])) if axes is None else axes
        return View(tensor, tuple(axes), self.shapes[index], self.dtypes[index])

    def refuse(self, reason: str) -> ValueError:
        """Returns the error to raise for an equation that ONNX cannot say."""
        where = f" in {self.scope}" if self.scope else ""
        return ValueError(f"to_onnx: {self.primitive}{where}: {reason}")


def primitive(*names: str) -> Callable[[Primitive], Primitive]:
    """Enters a function into the table for the primitives `names`."""

    def enter(function: Primitive) -> Primitive:
        for name in names:
            if name in _TABLE:
                raise ValueError(f"primitive {name!r} has two functions, expected one")
            _TABLE[name] = function
        return function

    return enter


def find(name: str) -> Primitive | None:
    """Returns the function of a primitive, None where the table has none."""
    return _TABLE.get(name)
