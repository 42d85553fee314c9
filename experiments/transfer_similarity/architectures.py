"""Architectures of timm as graphs, by way of ONNX files that are kept."""

import importlib
import pathlib

import jax

import jaxevo
from experiments.modules import TIMM, absent, timm
from jaxevo.graph import NetworkGraph
from jaxevo.interop.torch import export


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
        if missing := absent(TIMM):
            raise SystemExit(
                f"{path} is not there, and to write it this needs {', '.join(missing)}; pip install them first"
            )
        _write(name, path)
    return jaxevo.trace(jaxevo.from_onnx(path, name=name))


def _write(name: str, path: pathlib.Path) -> None:
    if not importlib.import_module("timm").is_model(timm_name(name)):
        raise SystemExit(f"timm has no architecture {timm_name(name)!r}; name those of timm in the table")
    module = timm(timm_name(name), pretrained=False)
    size = tuple(module.default_cfg["input_size"])
    model, _ = export("transfer_similarity", module, jax.ShapeDtypeStruct((2, *size), "float32"))
    part = path.with_suffix(".part")
    importlib.import_module("onnx").save(model, part)
    part.replace(path)
