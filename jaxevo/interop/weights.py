"""Files of trained weights, read without running what they hold: safetensors, written as well, and PyTorch's."""

import json
import math
import os
import pathlib
import tempfile
import zipfile
from collections.abc import Mapping
from typing import Any

import jax
import ml_dtypes
import numpy as np

from jaxevo.checks import check_path
from jaxevo.graph import path_name
from jaxevo.libraries import library
from jaxevo.network import PyTree

#: Bytes that the header of a safetensors file may have.
MOST_HEADER = 2**26

#: Element types of safetensors.
_DTYPES: dict[str, np.dtype] = {
    code: np.dtype(dtype)
    for code, dtype in {
        "BOOL": np.bool_,
        "U8": np.uint8,
        "I8": np.int8,
        "U16": np.uint16,
        "I16": np.int16,
        "U32": np.uint32,
        "I32": np.int32,
        "U64": np.uint64,
        "I64": np.int64,
        "F16": np.float16,
        "BF16": ml_dtypes.bfloat16,
        "F32": np.float32,
        "F64": np.float64,
        "F8_E4M3": ml_dtypes.float8_e4m3fn,
        "F8_E5M2": ml_dtypes.float8_e5m2,
    }.items()
}


def load_state(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the named arrays of a file of weights.

    Args:
      path: a `.safetensors` file, or a `.pth`, `.pt` or `.bin` file that PyTorch saved, with a dict of tensors, perhaps
        under "state_dict" or "model".

    Returns:
      Arrays by name, of the file's types; those of a safetensors file are views of the mapped file.

    Raises:
      FileNotFoundError: where no file lies there.
      ImportError: where PyTorch is needed and missing.
      ValueError: where the file is damaged, of another kind, or holds anything but tensors; what a pickle would run is
        never run.
    """
    path = check_path("load_state", "path", path)
    if not path.is_file():
        raise FileNotFoundError(f"load_state: no file lies at {str(path)!r}; check the path")
    if path.suffix == ".safetensors":
        return _safetensors(path)
    if path.suffix in (".pth", ".pt", ".bin"):
        return _pickled(path)
    raise ValueError(
        f"load_state: {str(path)!r} ends in {path.suffix!r}, expected .safetensors, .pth, .pt or .bin; ONNX files "
        "come in by from_onnx"
    )


def save_state(params: PyTree, path: str | os.PathLike[str]) -> None:
    """Writes the arrays of a pytree as a safetensors file, each under its path, names with slashes between them.

    Args:
      params: pytree of arrays, such as `network.params`.
      path: where the file goes, ending in ".safetensors"; a file that lies there is replaced once the new one is whole.

    Raises:
      ValueError: where the path is none that a file can go to, two arrays have one path, or an array is of a type that
        the format lacks.
    """
    path = check_path("save_state", "path", path)
    if path.suffix != ".safetensors" or not path.parent.is_dir():
        raise ValueError(
            f"save_state: path is {str(path)!r}, expected a name that ends in .safetensors, in a folder that exists"
        )
    leaves = [(path_name(where), np.asarray(leaf)) for where, leaf in jax.tree_util.tree_leaves_with_path(params)]
    codes = {dtype: code for code, dtype in _DTYPES.items()}
    entries, end = {}, 0
    for name, array in leaves:
        if name in entries or name == "__metadata__":
            raise ValueError(f"save_state: two arrays of params are called {name!r}; rename one of them")
        if array.dtype not in codes:
            raise ValueError(
                f"save_state: {name!r} of params holds {array.dtype}, which safetensors lacks; convert it first"
            )
        offsets = [end, end + array.nbytes]
        entries[name] = {"dtype": codes[array.dtype], "shape": list(array.shape), "data_offsets": offsets}
        end = offsets[1]
    header = json.dumps(entries).encode()
    # The numbers begin at a multiple of eight, as the format asks of writers.
    header += b" " * (-len(header) % 8)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        whole = pathlib.Path(folder) / path.name
        with whole.open("wb") as file:
            file.write(len(header).to_bytes(8, "little"))
            file.write(header)
            for _, array in leaves:
                file.write(np.ascontiguousarray(array).tobytes())
        os.replace(whole, path)


def _safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads https://github.com/huggingface/safetensors: eight bytes of length, a header of JSON, the numbers."""
    where, size = f"load_state: {str(path)!r}", path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(size - 8, MOST_HEADER):
            raise ValueError(f"{where} is no safetensors file, or is cut: its header has {length} of {size} bytes")
        header = file.read(length)
    try:
        entries = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is no safetensors file: its header cannot be parsed ({error})") from error
    if not isinstance(entries, dict):
        raise ValueError(f"{where} is no safetensors file: its header is no table of tensors")
    entries.pop("__metadata__", None)
    room = size - 8 - length
    data = np.memmap(path, np.uint8, "r", 8 + length, (room,)) if room else np.zeros(0, np.uint8)
    return {name: _tensor(f"{where}: tensor {name!r}", entry, data) for name, entry in entries.items()}


def _tensor(where: str, entry: Any, data: np.ndarray) -> np.ndarray:
    try:
        dtype, shape, (start, end) = _DTYPES[entry["dtype"]], tuple(map(int, entry["shape"])), entry["data_offsets"]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{where} is described by {entry!r}, expected dtype, shape and data_offsets") from error
    claimed = math.prod(shape) * dtype.itemsize
    whole = isinstance(start, int) and isinstance(end, int) and 0 <= start <= end <= data.size
    if not whole or len(shape) > 32 or min(shape, default=0) < 0 or end - start != claimed:
        raise ValueError(
            f"{where} claims shape {list(shape)} of {dtype}, bytes {start} to {end} of {data.size}; the file is damaged"
        )
    return np.asarray(data[start:end]).view(dtype).reshape(shape)


def _pickled(path: pathlib.Path) -> dict[str, np.ndarray]:
    torch = library("load_state", "torch", "PyTorch", "'jaxevo[torch]'")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise ValueError(
            f"load_state: {str(path)!r} is damaged or holds more than tensors ({type(error).__name__}: {reason}); "
            "nothing of it was run: save the module's state_dict() alone"
        ) from error
    for name in ("state_dict", "model"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(name), Mapping):
            loaded = loaded[name]
    if not isinstance(loaded, Mapping) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise ValueError(
            f"load_state: {str(path)!r} holds {_held(loaded)}, expected a dict of tensors; "
            "save the module's state_dict()"
        )
    return {str(name): numpy_of(value) for name, value in loaded.items()}


def _held(loaded: Any) -> str:
    if isinstance(loaded, Mapping):
        return f"a dict with keys {', '.join(map(repr, list(loaded)[:5]))}"
    return f"a {type(loaded).__name__}"


def numpy_of(tensor: Any) -> np.ndarray:
    """Returns a tensor of PyTorch as an array that shares its memory."""
    torch = library("load_state", "torch", "PyTorch", "'jaxevo[torch]'")
    flat = tensor.detach().cpu().contiguous()
    if flat.dtype == torch.bfloat16:
        return flat.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return flat.numpy()
