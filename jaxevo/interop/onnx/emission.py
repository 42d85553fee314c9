"""Nodes, constants and names of a file that is being written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from jaxevo.interop.onnx.dtypes import DTYPES
from jaxevo.interop.onnx.lengths import Batch, Length, fixed

#: Bytes up to which equal constants are kept once.
_SMALL = 1024
_CODES = {dtype: code for code, dtype in DTYPES.items()}


def code_of(dtype: np.dtype) -> int:
    """Returns ONNX's code of an element type.

    Raises:
      ValueError: where ONNX has none.
    """
    if np.dtype(dtype) not in _CODES:
        raise ValueError(f"to_onnx: the network computes with {dtype}, for which ONNX has no type; convert it first")
    return _CODES[np.dtype(dtype)]


class Emission:
    """What is written so far. A node that computes what another one computes is not written again.

    initialisers: arrays by name.
    """

    def __init__(self, onnx: Any):
        self.onnx = onnx
        self.initialisers: dict[str, np.ndarray] = {}
        self._names: set[str] = set()
        self._counts: dict[str, int] = {}
        self._constants: dict[tuple, str] = {}
        # Graphs that are being written, the outermost first: their nodes, and what those compute.
        self._scopes: list[tuple[list[Any], dict[tuple, tuple[str, ...]]]] = [([], {})]
        self._batch: str | None = None

    def reserve(self, name: str) -> str:
        """Takes a name as it is, or with a number behind it where it is taken; `name` is never empty."""
        found, count = name, 0
        while found in self._names or not found:
            count += 1
            found = f"{name}_{count}"
        self._names.add(found)
        return found

    def name(self, stem: str) -> str:
        """Returns a new name, the stem with a number."""
        self._counts[stem] = self._counts.get(stem, -1) + 1
        return self.reserve(f"{stem}_{self._counts[stem]}")

    def follow(self, name: str) -> None:
        """Takes the batch's length from the leading axis of an input."""
        self._batch = name

    def emit(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Writes a node with one output and returns that output's name."""
        return self.emit_several(operator, inputs, 1, **attributes)[0]

    def emit_several(self, operator: str, inputs: Sequence[str], count: int, **attributes: Any) -> tuple[str, ...]:
        """Writes a node with `count` outputs and returns their names."""
        key = (operator, tuple(inputs), count, repr(sorted(attributes.items())))
        for _, known in self._scopes:
            if key in known:
                return known[key]
        nodes, known = self._scopes[-1]
        outputs = tuple(self.name(operator) for _ in range(count))
        nodes.append(self.onnx.helper.make_node(operator, list(inputs), list(outputs), outputs[0], **attributes))
        known[key] = outputs
        return outputs

    def give(self, name: str, output: str) -> str:
        """Gives a tensor to the outside under a name of its own, which was reserved, and returns that."""
        self._scopes[-1][0].append(self.onnx.helper.make_node("Identity", [name], [output], output))
        return output

    @contextmanager
    def scope(self) -> Iterator[list[Any]]:
        """Writes nodes into a graph of its own, which sees the names of those around it; yields the list of nodes."""
        self._scopes.append(([], {}))
        try:
            yield self._scopes[-1][0]
        finally:
            self._scopes.pop()

    def constant(self, value: np.ndarray) -> str:
        """Returns the name of a constant."""
        value = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
        key = (str(value.dtype), value.shape, value.tobytes()) if value.nbytes <= _SMALL else None
        if key in self._constants:
            return self._constants[key]
        name = self.name("constant")
        self.initialisers[name] = value
        if key is not None:
            self._constants[key] = name
        return name

    def ints(self, lengths: Sequence[Length]) -> str:
        """Returns the name of an int64 tensor [n] of lengths."""
        if fixed(lengths):
            return self.constant(np.array(lengths, np.int64).reshape(-1))
        parts = [
            self._batches(length.times) if isinstance(length, Batch) else self.constant(np.array([length], np.int64))
            for length in lengths
        ]
        return self.emit("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]

    def positions(self, length: Length, dtype: np.dtype) -> str:
        """Returns the name of a tensor [length] that counts from 0."""
        zero, one = self.constant(np.array(0, np.int64)), self.constant(np.array(1, np.int64))
        count = self.emit("Squeeze", self.ints([length]), self.ints([0]))
        return self.cast(self.emit("Range", zero, count, one), dtype)

    def _batches(self, times: int) -> str:
        """Returns the name of an int64 tensor [1], the length of so many batches."""
        scopes, self._scopes = self._scopes, self._scopes[:1]
        try:
            assert self._batch is not None, "an input was declared first"
            length = self.emit("Shape", self._batch, start=0, end=1)
            return length if times == 1 else self.emit("Mul", length, self.constant(np.array([times], np.int64)))
        finally:
            self._scopes = scopes

    def cast(self, name: str, dtype: np.dtype) -> str:
        """Writes a conversion and returns its result's name."""
        return self.emit("Cast", name, to=code_of(dtype))

    def nodes(self) -> list[Any]:
        """Returns the nodes of the outermost graph."""
        return self._scopes[0][0]
