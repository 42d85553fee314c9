"""Tensors of ONNX files as numpy views: what they claim is compared with what they hold before anything is made of it.

Data beside the file are mapped, never read as a whole, and only from the folder that the file lies in.
"""

import math
import pathlib
from typing import Any

import numpy as np

from jaxevo.interop.onnx.dtypes import DTYPES, PACKED

#: Where a tensor's numbers lie if not in `raw_data`, by its type's code.
_FIELDS = {1: "float_data", 7: "int64_data", 11: "double_data", 12: "uint64_data", 13: "uint64_data"}


#: Axes that an array may have, of which numpy takes no more than 64; and its elements, which no file holds.
MOST_AXES = 32
MOST_ELEMENTS = 2**48


def array(tensor: Any, folder: pathlib.Path | None) -> np.ndarray:
    """Returns a tensor's numbers, as a view where the file's bytes allow it.

    Args:
      tensor: an `onnx.TensorProto`.
      folder: where data beside the file may lie; None where the file has no place.

    Raises:
      ValueError: where its type has no numbers, where it claims other than it holds, or where its data lie outside.
    """
    where = f"from_onnx: tensor {tensor.name!r}"
    if tensor.data_type not in DTYPES:
        kind = "strings" if tensor.data_type == 8 else f"the unknown type {tensor.data_type}"
        raise ValueError(f"{where} is of {kind}, expected numbers; remove it from the model")
    dims = tuple(int(n) for n in tensor.dims)
    # An empty array has no elements, but numpy counts what its other axes would hold.
    if any(n < 0 for n in dims) or len(dims) > MOST_AXES or math.prod(max(n, 1) for n in dims) > MOST_ELEMENTS:
        raise ValueError(
            f"{where} has shape {list(dims)}, expected at most {MOST_AXES} lengths of 0 and more, whose product is at "
            f"most {MOST_ELEMENTS}; the file is damaged"
        )
    dtype, count = DTYPES[tensor.data_type], math.prod(dims)
    size = math.ceil(count * PACKED[tensor.data_type] / 8) if tensor.data_type in PACKED else count * dtype.itemsize
    if tensor.data_location == 1:
        flat = np.frombuffer(_external(where, tensor, folder, size), np.uint8)
    elif tensor.HasField("raw_data"):
        flat = np.frombuffer(tensor.raw_data, np.uint8)
    else:
        return _fields(where, tensor, dtype, dims)
    _check_size(where, dims, size, flat.nbytes)
    return (_unpacked(flat, tensor.data_type)[:count] if tensor.data_type in PACKED else flat.view(dtype)).reshape(dims)


def dense(sparse: Any, folder: pathlib.Path | None, most: int) -> np.ndarray:
    """Returns an `onnx.SparseTensorProto` as a dense array of at most `most` elements.

    Raises:
      ValueError: where it is larger, or its indices lie outside.
    """
    where = f"from_onnx: sparse tensor {sparse.values.name!r}"
    dims = tuple(int(n) for n in sparse.dims)
    if any(n < 0 for n in dims) or len(dims) > MOST_AXES or math.prod(dims) > most:
        raise ValueError(f"{where} has shape {list(dims)}, expected at most {most} elements; store it densely")
    values, indices = array(sparse.values, folder), array(sparse.indices, folder).astype(np.int64)
    filled = np.zeros(math.prod(dims), values.dtype)
    if indices.ndim == 2 and indices.shape[1] == len(dims) and ((indices >= 0) & (indices < np.array(dims))).all():
        weights = np.array([math.prod(dims[axis + 1 :]) for axis in range(len(dims))], np.int64)
        indices = indices @ weights
    if indices.shape != values.shape or (indices.size and not 0 <= indices.min() <= indices.max() < filled.size):
        raise ValueError(f"{where} has indices that do not fit its shape {list(dims)}; the file is damaged")
    filled[indices] = values
    return filled.reshape(dims)


def _fields(where: str, tensor: Any, dtype: np.dtype, dims: tuple[int, ...]) -> np.ndarray:
    """Returns numbers that the file holds one by one."""
    count, code = math.prod(dims), tensor.data_type
    if code in (14, 15):
        parts = np.asarray(tensor.float_data if code == 14 else tensor.double_data)
        held = np.ascontiguousarray(parts[: len(parts) // 2 * 2], np.float32 if code == 14 else np.float64).view(dtype)
    elif code in PACKED:
        held = _unpacked(np.asarray(tensor.int32_data, np.int32).astype(np.uint8), code)
        held = held[:count] if len(held) - count < 8 // PACKED[code] else held
    elif code in _FIELDS:
        held = np.asarray(getattr(tensor, _FIELDS[code])).astype(dtype, copy=False)
    else:
        # Types of 8 and 16 bits without a number of their own are stored as their bits.
        bits = np.asarray(tensor.int32_data, np.int32)
        plain = dtype.kind in "iub"
        held = bits.astype(dtype) if plain else bits.astype(f"uint{8 * dtype.itemsize}").view(dtype)
    _check_size(where, dims, count * dtype.itemsize, held.nbytes)
    return held.reshape(dims)


def _unpacked(flat: np.ndarray, code: int) -> np.ndarray:
    bits = PACKED[code]
    parts = (flat[:, None] >> np.arange(0, 8, bits, dtype=np.uint8)) & np.uint8(2**bits - 1)
    if DTYPES[code].kind != "V" and DTYPES[code].name.startswith("int"):
        # The highest bit is the sign.
        return (parts.astype(np.int8) - ((parts >> (bits - 1)) << bits).astype(np.int8)).ravel().astype(DTYPES[code])
    if DTYPES[code].name.startswith("uint"):
        return parts.ravel().astype(DTYPES[code])
    return parts.ravel().view(DTYPES[code])


def _external(where: str, tensor: Any, folder: pathlib.Path | None, size: int) -> np.ndarray:
    """Maps a tensor's data in a file beside the model."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if folder is None:
        raise ValueError(
            f"{where} lies in the file {location!r} beside the model; pass the path of the model, not its bytes, "
            "or load it with onnx.load first"
        )
    root = folder.resolve()
    if not location or "\0" in location:
        raise ValueError(f"{where} names {location!r} as the file of its data, expected a name; the file is damaged")
    try:
        path = (root / location).resolve()
        lies = path.is_file()
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"{where} names {location[:100]!r} as the file of its data, which is no path ({type(error).__name__}); the "
            "file is damaged"
        ) from error
    if not path.is_relative_to(root) or path == root:
        raise ValueError(
            f"{where} names {location!r} as the file of its data, which lies outside of the model's folder; "
            "copy the data into that folder and name them there, if you trust the file"
        )
    if not lies:
        raise ValueError(f"{where} lies in {location!r} beside the model, which is no file there; copy it there")
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
    except ValueError as error:
        raise ValueError(f"{where} has an offset or a length that is no number; the file is damaged") from error
    if offset < 0 or length != size or offset + length > path.stat().st_size:
        raise ValueError(
            f"{where} claims {size} bytes, {length} of them at {offset} of {location!r}, which holds "
            f"{path.stat().st_size}; a file is damaged or cut"
        )
    if not size:
        return np.zeros(0, np.uint8)
    return np.memmap(path, np.uint8, "r", offset, (length,))


def _check_size(where: str, dims: tuple[int, ...], claimed: int, held: int) -> None:
    if claimed != held:
        raise ValueError(
            f"{where} claims shape {list(dims)}, which takes {claimed} bytes, but holds {held}; the file is damaged"
        )
