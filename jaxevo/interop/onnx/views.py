"""Values of a network as views of tensors of a file.

JAX moves and repeats axes by equations of their own. A file needs few of them: its operators broadcast, and a
convolution there wants its channels first, so that the moves before and after it undo each other. A `View` says which
axis of the network's value each axis of the tensor is, and a node is written only where an operator needs the tensor
otherwise.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxevo.interop.onnx.emission import Emission
from jaxevo.interop.onnx.lengths import Length, fixed


@dataclasses.dataclass(frozen=True)
class View:
    """A value of the network.

    tensor: the name of a tensor of the file, or an array that is known while it is written.
    axes: for each axis of the tensor the axis of the value, None for one of length 1 that the value lacks. An axis of
      the value that no axis of the tensor stands for repeats the tensor.
    shape: lengths of the value's axes.
    dtype: its type.
    """

    tensor: str | np.ndarray
    axes: tuple[int | None, ...]
    shape: tuple[Length, ...]
    dtype: np.dtype

    @property
    def held(self) -> tuple[int, ...]:
        """The axes of the value that the tensor has, in the tensor's order."""
        return tuple(axis for axis in self.axes if axis is not None)

    @property
    def known(self) -> bool:
        """Whether the value is known while the file is written."""
        return isinstance(self.tensor, np.ndarray) and fixed(self.shape)

    @property
    def value(self) -> np.ndarray:
        """The whole value, where it is known."""
        return np.broadcast_to(self._arranged(range(len(self.shape))), [int(n) for n in self.shape])  # type: ignore

    def order(self) -> tuple[int, ...]:
        """Returns all axes of the value: those that the tensor lacks, then its own in its order."""
        lacking = [axis for axis in range(len(self.shape)) if axis not in self.held]
        return (*lacking, *self.held)

    def moved(self, places: Sequence[int | None], shape: Sequence[Length]) -> "View":
        """Returns the view of a value whose axes went elsewhere.

        Args:
          places: for each axis of this value its axis there, None where it has length 1 and is gone, or is repeated.
          shape: lengths there.
        """
        axes = tuple(None if axis is None else places[axis] for axis in self.axes)
        return View(self.tensor, axes, tuple(shape), self.dtype)

    def write(self, emission: Emission, order: Sequence[int] | None = None, expand: bool = True) -> str:
        """Returns the name of a tensor with the value's axes in an order.

        Args:
          emission: where nodes are written.
          order: axes of the value, all that the tensor has among them; by default all, as they come.
          expand: repeat it along the axes that it lacks; otherwise these have length 1 there, and are missing where
            they come first.
        """
        order = list(range(len(self.shape)) if order is None else order)
        if isinstance(self.tensor, np.ndarray):
            array = self._arranged(order)
            if not expand:
                name = emission.constant(array.reshape(array.shape[_leading(order, self.held) :]))
            elif fixed([self.shape[axis] for axis in order]):
                name = emission.constant(np.broadcast_to(array, [int(self.shape[axis]) for axis in order]))  # type: ignore
            else:
                name = emission.emit("Expand", emission.constant(array), emission.ints([self.shape[a] for a in order]))
            return name
        name, held = self.tensor, self.held
        gone = [place for place, axis in enumerate(self.axes) if axis is None]
        if gone:
            name = emission.emit("Squeeze", name, emission.ints(gone))
        wanted = [axis for axis in order if axis in held]
        assert len(wanted) == len(held), f"order {order} lacks some of {held}"
        if list(held) != wanted:
            name = emission.emit("Transpose", name, perm=[held.index(axis) for axis in wanted])
        first = 0 if expand else _leading(order, held)
        lacking = [place - first for place, axis in enumerate(order) if axis not in held and place >= first]
        if lacking:
            name = emission.emit("Unsqueeze", name, emission.ints(lacking))
        if expand and any(self.shape[axis] != 1 for axis in order if axis not in held):
            name = emission.emit("Expand", name, emission.ints([self.shape[axis] for axis in order]))
        return name

    def _arranged(self, order: Sequence[int]) -> np.ndarray:
        """Returns the array with its axes in an order, of length 1 where it lacks one."""
        assert isinstance(self.tensor, np.ndarray)
        held = self.held
        array = self.tensor.reshape(
            [n for n, axis in zip(self.tensor.shape, self.axes, strict=True) if axis is not None]
        )
        array = array.transpose([held.index(axis) for axis in order if axis in held])
        return np.expand_dims(array, [place for place, axis in enumerate(order) if axis not in held])


def constant(value: np.ndarray) -> View:
    """Returns the view of an array that is known."""
    return View(np.asarray(value), tuple(range(np.ndim(value))), np.shape(value), np.asarray(value).dtype)


def aligned(emission: Emission, views: Sequence[View]) -> tuple[list[str], tuple[int, ...]]:
    """Writes views so that they broadcast against one another.

    Args:
      emission: where nodes are written.
      views: views of values of equal shape, or of single numbers.

    Returns:
      Names of the tensors, and the axes of the value that the result has, in its order.
    """
    lead = max(views, key=lambda view: (isinstance(view.tensor, str), len(view.held)))
    union = {axis for view in views for axis in view.held}
    order = lead.held if union == set(lead.held) else tuple(sorted(union))
    return [view.write(emission, order, expand=False) for view in views], order


def _leading(order: Sequence[int], held: Sequence[int]) -> int:
    """Returns how many axes of `order` come before the first that is held."""
    return next((place for place, axis in enumerate(order) if axis in held), len(order))
