"""How encoded pictures become inputs of a network: decoded, resized, cropped at the centre, normalised."""

import dataclasses
import io
from typing import Literal

import numpy as np

from jaxevo.libraries import library
from jaxevo.network import Convention

Interpolation = Literal["bilinear", "bicubic"]

#: Mean and standard deviation of the channels of ImageNet's pixels in [0, 255], with which torchvision's published
#: networks were trained.
IMAGENET = Convention("HWC", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))

#: What pip installs where a library that reads pictures is missing.
INSTALL = '"jaxevo[imagenet]"'

#: Share of a resized picture's shorter side that the crop takes where nothing else is said: 224 of 256 pixels.
CROP = 0.875


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How pictures are prepared for a network, as torchvision and timm evaluate theirs.

    size: height and width of the crop in pixels.
    resize: length in pixels that the shorter side is brought to before, at least `size`; the longer one keeps its share
      of it, rounded down.
    interpolation: of the resizing, with antialiasing.
    convention: order of the axes, and what is subtracted from each channel and what it is divided by.
    """

    size: int
    resize: int
    interpolation: Interpolation = "bilinear"
    convention: Convention = IMAGENET

    def __post_init__(self):
        if not isinstance(self.size, int) or not isinstance(self.resize, int) or not 1 <= self.size <= self.resize:
            raise ValueError(
                f"Recipe: size is {self.size!r} and resize {self.resize!r}, expected whole numbers of pixels, "
                "1 <= size <= resize"
            )
        if self.interpolation not in ("bilinear", "bicubic"):
            raise ValueError(f"Recipe: interpolation is {self.interpolation!r}, expected 'bilinear' or 'bicubic'")
        for name in ("mean", "scale"):
            if len(getattr(self.convention, name)) not in (1, 3):
                raise ValueError(
                    f"Recipe: convention.{name} is {getattr(self.convention, name)!r}, expected one number or three, "
                    "one for each channel"
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a prepared picture."""
        channels_last = self.convention.layout == "HWC"
        return (self.size, self.size, 3) if channels_last else (3, self.size, self.size)


def prepare(recipe: Recipe, encoded: bytes) -> np.ndarray:
    """Prepares one picture.

    Args:
      recipe: what the network wants.
      encoded: a JPEG or PNG file; other colour spaces become RGB.

    Returns:
      float32 of `recipe.shape`.

    Raises:
      ValueError: where it cannot be decoded.
      ImportError: where Pillow is missing.
    """
    image = library("prepare", "PIL.Image", "Pillow", INSTALL)
    try:
        picture = image.open(io.BytesIO(encoded), formats=("JPEG", "PNG")).convert("RGB")
    except OSError as error:
        raise ValueError(f"prepare: {len(encoded)} bytes are no whole JPEG or PNG picture: {error}") from error
    picture = picture.resize(_lengths(picture.size, recipe.resize), image.Resampling[recipe.interpolation.upper()])
    left, top = (round((length - recipe.size) / 2) for length in picture.size)
    pixels = np.asarray(picture.crop((left, top, left + recipe.size, top + recipe.size)), np.float32)
    # Whole rows at a time: an axis of three is no length for a loop of numpy's.
    rows = pixels.reshape(recipe.size, -1)
    rows -= np.resize(np.array(recipe.convention.mean, np.float32), 3 * recipe.size)
    rows /= np.resize(np.array(recipe.convention.scale, np.float32), 3 * recipe.size)
    return pixels if recipe.convention.layout == "HWC" else np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


def _lengths(lengths: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Returns width and height such that the shorter one is `shorter`."""
    least = min(lengths)
    width, height = (shorter if length == least else int(shorter * length / least) for length in lengths)
    return width, height
