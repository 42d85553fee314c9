"""ONNX files as messages of the `onnx` package, refused where they cannot be what they claim."""

import importlib
import json
import os
import pathlib
from typing import Any, NamedTuple

from jaxevo.libraries import library

#: Key of a file's metadata under which `to_onnx` notes the names of the parameters, as JSON.
PARAMETERS = "jaxevo.parameters"
#: The oldest operator set that is understood; before it, arithmetic broadcast in another way.
OLDEST = 7


class File(NamedTuple):
    """A parsed file.

    model: an `onnx.ModelProto`.
    folder: where data beside it may lie, None where it did not come from a path.
    name: what the network is called by default.
    opsets: version of the operator set of every domain it names; "ai.onnx" is "".
    learned: names of its parameters, where the file says so, else None.
    """

    model: Any
    folder: pathlib.Path | None
    name: str
    opsets: dict[str, int]
    learned: frozenset[str] | None


def read(source: Any) -> File:
    """Parses a file.

    Args:
      source: a path, the bytes of a file, or an `onnx.ModelProto`.

    Raises:
      ImportError: where the `onnx` package is missing.
      FileNotFoundError: where no file lies at the path.
      TypeError: where `source` is none of these.
      ValueError: where it is no ONNX file, or written for operator sets that are not understood.
    """
    onnx = library("from_onnx", "onnx", "onnx", "'jaxevo[onnx]'")
    folder, name = None, ""
    if isinstance(source, onnx.ModelProto):
        model = source
    elif isinstance(source, str | os.PathLike):
        path = pathlib.Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"from_onnx: no file lies at {str(path)!r}; check the path")
        model, folder, name = _parsed(onnx, path.read_bytes(), repr(str(path))), path.parent, path.stem
    elif isinstance(source, bytes | bytearray | memoryview):
        model = _parsed(onnx, bytes(source), f"{len(source)} bytes")
    else:
        raise TypeError(
            f"from_onnx: source is a {type(source).__name__}, expected a path, the bytes of a file or an "
            "onnx.ModelProto"
        )
    if not model.HasField("graph") or not model.graph.output:
        raise ValueError("from_onnx: the file holds no graph with outputs, expected an ONNX model; it is empty or cut")
    return File(model, folder, name or model.graph.name or "network", _opsets(onnx, model), _learned(model))


def _parsed(onnx: Any, data: bytes, what: str) -> Any:
    decode_error = importlib.import_module("google.protobuf.message").DecodeError
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (decode_error, RuntimeError, ValueError) as error:
        raise ValueError(
            f"from_onnx: {what} cannot be parsed ({error}), expected an ONNX model; the file is cut or of another kind"
        ) from error
    return model


def _learned(model: Any) -> frozenset[str] | None:
    noted = [entry.value for entry in model.metadata_props if entry.key == PARAMETERS]
    if not noted:
        return None
    try:
        names = json.loads(noted[-1])
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"from_onnx: the file's metadata {PARAMETERS!r} is no JSON ({error}); export it again"
        ) from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"from_onnx: the file's metadata {PARAMETERS!r} is no list of names; export it again")
    return frozenset(names)


def _opsets(onnx: Any, model: Any) -> dict[str, int]:
    opsets = {"" if entry.domain == "ai.onnx" else entry.domain: int(entry.version) for entry in model.opset_import}
    newest = onnx.defs.onnx_opset_version()
    if "" not in opsets:
        raise ValueError(
            "from_onnx: the file does not say for which version of ONNX's operators it was written; "
            "set opset_import in the model"
        )
    if not OLDEST <= opsets[""] <= newest:
        step = (
            "convert it with onnx.version_converter.convert_version"
            if opsets[""] < OLDEST
            else "install a newer onnx package, or export the model for an older version"
        )
        raise ValueError(
            f"from_onnx: the file was written for version {opsets['']} of ONNX's operators, "
            f"expected {OLDEST} to {newest}; {step}"
        )
    return opsets
