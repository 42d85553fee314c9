"""Inputs and outputs of a file: their names, which axis is the batch, and how long the other axes are."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from jaxevo.interop.onnx.dtypes import DTYPES, canonical
from jaxevo.network import PyTree

#: An axis: its length, its name, or None where the file says nothing.
Axis = int | str | None


class Signature(NamedTuple):
    """What a file reads.

    names: names of its inputs, in order.
    inputs: the inputs of one example, as `Network.inputs`: one, or a dict by name where there are several.
    single: whether the file is written for one example at a time, so that a batch runs one by one.
    """

    names: tuple[str, ...]
    inputs: PyTree
    single: bool

    def arguments(self, inputs: PyTree) -> list[Any]:
        """Returns a network's inputs in the file's order."""
        return [inputs[name] for name in self.names] if isinstance(inputs, Mapping) else [inputs]


def signature(graph: Any, names: Sequence[str], shapes: Mapping[str, Sequence[int]] | None) -> Signature:
    """Reads what a graph expects.

    Args:
      graph: an `onnx.GraphProto`.
      names: names of its inputs that are no tensors of the file.
      shapes: shapes of inputs of one example, without the batch axis, by name.

    Raises:
      TypeError: where `shapes` is no mapping of names to shapes.
      ValueError: where an input is no batch of tensors, or lengths are missing or disagree.
    """
    if not names:
        raise ValueError("from_onnx: the file has no inputs, expected at least one; it computes a constant")
    if shapes is not None and not isinstance(shapes, Mapping):
        raise TypeError(f"from_onnx: shapes is {shapes!r}, expected a dict such as {{{names[0]!r}: (3, 224, 224)}}")
    shapes = {name: tuple(int(n) for n in shape) for name, shape in (shapes or {}).items()}
    unknown = sorted(set(shapes) - set(names))
    if unknown:
        raise ValueError(f"from_onnx: shapes names the input {unknown[0]!r}, but the file has {', '.join(names)}")
    values = {value.name: value for value in graph.input}
    axes = {name: _axes(values[name], shapes.get(name)) for name in names}
    single = any(_fixed_batch(name, found[0]) for name, found in axes.items())
    lengths = _lengths(axes, shapes)
    inputs = {}
    for name in names:
        shape = tuple(_length(name, index, axes[name], lengths, shapes) for index in range(1, len(axes[name])))
        dtype = canonical(DTYPES[values[name].type.tensor_type.elem_type])
        inputs[name] = jax.ShapeDtypeStruct(shape, dtype)
    return Signature(tuple(names), inputs[names[0]] if len(names) == 1 else inputs, single)


#: What exporters call an axis that has no name; it stands for another length each time.
UNNAMED = ("", "None", "?", "-1", "unk")


def _axes(value: Any, shape: tuple[int, ...] | None) -> list[Axis]:
    """Returns the axes of one input, the batch first."""
    where = f"from_onnx: input {value.name!r}"
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise ValueError(f"{where} is a {kind or 'value of no type'}, expected a tensor; export the model with tensors")
    tensor = value.type.tensor_type
    if tensor.elem_type not in DTYPES:
        raise ValueError(f"{where} holds no numbers (type {tensor.elem_type}), expected numbers")
    if not tensor.HasField("shape"):
        if shape is None:
            raise ValueError(f"{where} has no shape in the file; pass shapes={{{value.name!r}: (...)}} of one example")
        return [None, *shape]
    axes: list[Axis] = [
        int(dim.dim_value)
        if dim.HasField("dim_value") and dim.dim_value > 0
        else None
        if dim.dim_param in UNNAMED
        else dim.dim_param
        for dim in tensor.shape.dim
    ]
    if not axes:
        raise ValueError(
            f"{where} is a single number without a batch axis, expected a tensor with the batch as leading axis; "
            "make it a constant of the model, or give it a batch axis"
        )
    if shape is not None and len(shape) != len(axes) - 1:
        raise ValueError(f"{where} has axes {axes}, batch first, but shapes gives {list(shape)} for one example")
    return axes


def _fixed_batch(name: str, axis: Axis) -> bool:
    """Returns whether an input is one example; refuses any other fixed number."""
    if isinstance(axis, int) and axis > 1:
        raise ValueError(
            f"from_onnx: input {name!r} has a leading axis of fixed length {axis}, expected a batch axis that is free, "
            "or 1; export the model with a dynamic batch axis"
        )
    return axis == 1


def _lengths(axes: Mapping[str, Sequence[Axis]], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Returns the lengths of named axes, from the shapes that were passed; they hold wherever the name stands."""
    lengths: dict[str, int] = {}
    for name, shape in shapes.items():
        for axis, length in zip(axes[name][1:], shape, strict=True):
            known = lengths.setdefault(axis, length) if isinstance(axis, str) else axis
            if known not in (None, length):
                raise ValueError(
                    f"from_onnx: shapes gives {list(shape)} for input {name!r}, but the file's axes are "
                    f"{list(axes[name])}, batch first, and {axis!r} is {known}; pass a shape that fits"
                )
    batches = {found[0] for found in axes.values() if isinstance(found[0], str)}
    clash = sorted(batches & lengths.keys())
    if clash:
        raise ValueError(
            f"from_onnx: axis {clash[0]!r} is the batch of one input and another axis elsewhere, so that its length "
            "is not free; export the model with a name of its own for the batch axis"
        )
    return lengths


def _length(
    name: str,
    index: int,
    axes: Sequence[Axis],
    lengths: Mapping[str, int],
    shapes: Mapping[str, tuple[int, ...]],
) -> int:
    axis = axes[index]
    if isinstance(axis, int):
        return axis
    if name in shapes:
        return shapes[name][index - 1]
    if isinstance(axis, str) and axis in lengths:
        return lengths[axis]
    listing = ", ".join(str(n) if isinstance(n, int) else repr(n or "?") for n in axes[1:])
    example = ", ".join(str(n) if isinstance(n, int) else "64" for n in axes[1:])
    raise ValueError(
        f"from_onnx: input {name!r} has shape [{listing}] for one example, with axes of no fixed length; pass "
        f"shapes={{{name!r}: ({example}{',' if len(axes) == 2 else ''})}} with the lengths that you need"
    )
