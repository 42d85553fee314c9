"""Sequences of tensors that are taken apart again at once, as PyTorch's exporter writes `torch.split`."""

import numpy as np

from jaxevo.interop.onnx.operators.shapes import split
from jaxevo.interop.onnx.table import operator


@operator("SplitToSequence")
def split_to_sequence(call, x, sizes=None):
    axis = call.get("axis", 0) % x.ndim
    length = x.shape[axis]
    chunk = np.asarray(1 if sizes is None else call.static(sizes, "split"))
    if chunk.ndim == 0:
        if chunk < 1:
            raise call.refuse(f"splits into parts of {int(chunk)}, expected at least 1")
        chunk = np.diff(np.minimum(np.arange(0, length + int(chunk), int(chunk)), length))
    parts = split(call._replace(attributes={"axis": axis}), x, chunk)
    if sizes is None and not call.get("keepdims", 1):
        parts = tuple(part.squeeze(axis) for part in parts)
    # One output: the tuple of outputs holds one sequence.
    return (list(parts),)


@operator("SequenceAt")
def sequence_at(call, sequence, position):
    index, length = int(call.static(position, "position")), len(sequence)
    if not -length <= index < length:
        raise call.refuse(f"takes element {index} of a sequence of {length}")
    return sequence[index]
