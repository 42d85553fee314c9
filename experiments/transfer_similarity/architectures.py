"""Architectures of timm as graphs, by way of ONNX files that are kept."""

import importlib
import importlib.util
import pathlib

import jax

import jaxevo
from jaxevo.graph import NetworkGraph
from jaxevo.interop.torch import export

NEEDS = ("torch", "timm", "onnx", "onnxscript")


def missing() -> list[str]:
    """Returns the packages that are needed and not installed."""
    return [package for package in NEEDS if importlib.util.find_spec(package) is None]


def timm_name(name: str) -> str:
    """Returns the name that timm has for an architecture: "efficientnet-b0" is its "efficientnet_b0"."""
    return name.replace("-", "_")


def graph_of(name: str, folder: pathlib.Path) -> NetworkGraph:
    """Reads an architecture at its own size of pictures, with random weights.

    Args:
      name: as published.
      folder: where files lie that were written before, and are written.

    Returns:
      Its graph.

    Raises:
      SystemExit: where timm does not have it, or a package is missing that writes the file.
    """
    path = folder / f"{timm_name(name)}.onnx"
    if not path.exists():
        if absent := missing():
            raise SystemExit(
                f"{path} is not there, and to write it this needs {', '.join(absent)}; pip install them first"
            )
        _write(name, path)
    return jaxevo.trace(jaxevo.from_onnx(path, name=name))


def _write(name: str, path: pathlib.Path) -> None:
    timm, onnx = importlib.import_module("timm"), importlib.import_module("onnx")
    if not timm.is_model(timm_name(name)):
        raise SystemExit(f"timm has no architecture {timm_name(name)!r}; name those of timm in the table")
    importlib.import_module("torch").manual_seed(0)
    module = timm.create_model(timm_name(name), pretrained=False)
    size = tuple(module.default_cfg["input_size"])
    model, _ = export("transfer_similarity", module, jax.ShapeDtypeStruct((2, *size), "float32"))
    part = path.with_suffix(".part")
    onnx.save(model, part)
    part.replace(path)
