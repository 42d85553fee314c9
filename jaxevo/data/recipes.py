"""How encoded pictures become inputs of a network: decoded, resized, cropped at the centre, and normalised.

The first three are done on the host. Normalising can be left to the devices: as bytes a picture is a quarter of what it
is as numbers.
"""

import dataclasses
import io
import math
from typing import Any, Literal

import numpy as np

from jaxevo.libraries import library
from jaxevo.network import Convention

Interpolation = Literal["bilinear", "bicubic"]

#: Mean and standard deviation of the channels of ImageNet's pixels in [0, 255], with which torchvision's published
#: networks were trained.
IMAGENET = Convention("HWC", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))

#: What pip installs where a library that reads pictures is missing.
INSTALL = '"jaxevo[imagenet]"'

#: Height over width from which on Pillow is asked for both passes at once; its releases turn them around at 2 or later.
_TALL = 1.5

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

    def normalise(self, pixels: Any) -> Any:
        """Returns what the network wants, float32 [..., *shape].

        Args:
          pixels: [..., size, size, 3], from `crop`, an array of numpy or of JAX.
        """
        # Whole rows at a time: an axis of three is no length for a loop of numpy's.
        rows = pixels.reshape(*pixels.shape[:-2], 3 * self.size).astype(np.float32)
        mean, scale = (
            np.resize(np.array(numbers, np.float32), 3 * self.size)
            for numbers in (self.convention.mean, self.convention.scale)
        )
        made = ((rows - mean) / scale).reshape(pixels.shape)
        if self.convention.layout == "HWC":
            return made
        first = made.ndim - 3
        return made.transpose(*range(first), first + 2, first, first + 1)


def crop(recipe: Recipe, encoded: bytes) -> np.ndarray:
    """Decodes, resizes and crops one picture.

    Args:
      recipe: what the network wants.
      encoded: a JPEG or PNG file; other colour spaces become RGB.

    Returns:
      Its pixels, uint8 [size, size, 3].

    Raises:
      ValueError: where it cannot be decoded.
      ImportError: where Pillow is missing.
    """
    image = library("crop", "PIL.Image", "Pillow", INSTALL)
    picture = decoded(encoded)
    # Where it is RGB already, `convert` would copy it.
    picture = picture.convert("RGB") if picture.mode != "RGB" else picture
    return np.asarray(_resized(picture, recipe, image.Resampling[recipe.interpolation.upper()]))


def decoded(encoded: bytes) -> Any:
    """Decodes one picture, in its own colour space.

    Args:
      encoded: a JPEG or PNG file.

    Returns:
      Pillow's picture, loaded.

    Raises:
      ValueError: where it cannot be decoded.
      ImportError: where Pillow is missing.
    """
    image = library("crop", "PIL.Image", "Pillow", INSTALL)
    try:
        picture = image.open(io.BytesIO(encoded), formats=("JPEG", "PNG"))
        picture.load()
    except OSError as error:
        raise ValueError(f"crop: {len(encoded)} bytes are no whole JPEG or PNG picture: {error}") from error
    return picture


def _resized(picture: Any, recipe: Recipe, interpolation: Any) -> Any:
    """Resizes a picture and crops it at the centre; the pixels are those of resizing all of it.

    Pillow resizes along rows and then along columns, and asked for one at a time it gives the same pixels. So what is
    cut away need not be resized: columns after the first; rows before it, and either at all, where the crop's place in
    the picture is a number that has no rounding. Tall pictures it may resize along columns first.
    """
    size, (width, height) = recipe.size, _lengths(picture.size, recipe.resize)
    left, top = (round((length - size) / 2) for length in (width, height))
    if picture.height > _TALL * picture.width:
        return picture.resize((width, height), interpolation).crop((left, top, left + size, top + size))
    low, high = 0, picture.height
    if _exact(high, height):
        scale = picture.height / height
        # Of rows, those that the filter reaches; bicubic ones reach two of the coarser grid.
        reach = 2 * max(scale, 1) + 1
        low, high = max(0, math.floor(top * scale - reach)), min(high, math.ceil((top + size) * scale + reach))
    rows = picture.crop((0, low, picture.width, high)) if high - low < picture.height else picture
    if _exact(picture.width, width):
        part = (left * picture.width / width, 0, (left + size) * picture.width / width, rows.height)
        wide = rows.resize((size, rows.height), interpolation, box=part)
    else:
        wide = rows.resize((width, rows.height), interpolation).crop((left, 0, left + size, rows.height))
    if _exact(picture.height, height):
        scale = picture.height / height
        return wide.resize((size, size), interpolation, box=(0, top * scale - low, size, (top + size) * scale - low))
    return wide.resize((size, height), interpolation).crop((0, top, size, top + size))


def _exact(length: int, wanted: int) -> bool:
    """Returns whether Pillow, which holds places in float32, holds multiples of length / wanted without rounding."""
    return wanted & (wanted - 1) == 0 and length * wanted < 2**24


def prepare(recipe: Recipe, encoded: bytes) -> np.ndarray:
    """Prepares one picture.

    Args:
      recipe, encoded: as in `crop`.

    Returns:
      float32 of `recipe.shape`.

    Raises:
      ValueError, ImportError: as `crop`.
    """
    return recipe.normalise(crop(recipe, encoded))


def _lengths(lengths: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Returns width and height such that the shorter one is `shorter`."""
    least = min(lengths)
    width, height = (shorter if length == least else int(shorter * length / least) for length in lengths)
    return width, height
