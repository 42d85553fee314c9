"""`photos`: crops of the photographs in scikit-image's wheel, to be told apart by texture and shape.

Each picture is cut into tiles little larger than a crop; tile (row, column) belongs to a split by
`(row + 2 * column) % 5`: of five tiles in a row or column three go to training and one each to validation and test.
A crop lies wholly inside one tile, so no two splits share a pixel. Tiles are small so
that every split sees all of a picture.
"""

import numpy as np
from scipy import ndimage

from jaxevo.data.splits import Dataset, Split
from jaxevo.libraries import library

#: Functions of `skimage.data` that read a file of the wheel; others of that module would download. Left out are
#: pictures that are blurred or empty for the most part: camera, cell, clock and moon.
PHOTOGRAPHS = (
    "astronaut",
    "brick",
    "chelsea",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "hubble_deep_field",
    "immunohistochemistry",
    "retina",
    "rocket",
    "stereo_motorcycle",
)
#: Fewest tiles along the shorter side of a picture.
TILES = 5
#: Side of a tile, at least, as a multiple of a crop's.
ROOM = 1.25
#: Remainders of `(row + 2 * column) % 5` that each split owns.
OWNS = {"train": (0, 2, 4), "valid": (1,), "test": (3,)}
#: Crops whose standard deviation is less, of pixels in [0, 1], show sky or a black border and nothing else.
FLATTEST = 0.05


def photos(
    size: int = 32, per_class: int = 256, noise: float = 0.0, blur: float = 0.0, span: int | None = None
) -> Dataset:
    """Crops of 12 photographs, labelled by photograph.

    Args:
      size: height and width of a crop in pixels.
      per_class: training crops of each photograph; validation and test have a third of it each.
      noise: standard deviation of Gaussian noise that is added to the normalised crops, which makes them harder.
      blur: standard deviation in pixels of a Gaussian that crops are blurred with before, each by itself.
      span: height and width, at least size, of what is cut from a picture and then shrunk to size by local means; None
        for size. Pictures are enlarged where five tiles would not fit.

    Returns:
      The dataset; inputs [N, size, size, 3], each channel of each crop with mean 0 and standard deviation 1.

    Raises:
      ValueError: where a setting is out of range.
      ImportError: where scikit-image is missing.
    """
    for name, value, least in (("size", size, 4), ("per_class", per_class, 3)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"photos: {name} is {value!r}, expected a whole number of at least {least}")
    for name, value in (("noise", noise), ("blur", blur)):
        if not isinstance(value, int | float) or not 0.0 <= value < np.inf:
            raise ValueError(f"photos: {name} is {value!r}, expected a standard deviation of at least 0")
    if span is not None and (isinstance(span, bool) or not isinstance(span, int) or span < size):
        raise ValueError(f"photos: span is {span!r}, expected a whole number of at least size, {size}")
    span = size if span is None else span
    counts = {"train": per_class, "valid": per_class // 3, "test": per_class // 3}
    rng = np.random.default_rng(0)
    crops: dict[str, list[np.ndarray]] = {which: [] for which in OWNS}
    for name in PHOTOGRAPHS:
        picture = enlarged(photograph(name), span)
        for which, count in counts.items():
            corners = choose(rng, picture, span, OWNS[which], count)
            cut = shrunk(np.stack([picture[y : y + span, x : x + span] for y, x in corners]), size)
            crops[which].append(ndimage.gaussian_filter(cut, (0, blur, blur, 0)) if blur else cut)
    splits = {which: _normalised(rng, np.concatenate(parts), noise, counts[which]) for which, parts in crops.items()}
    settings = (
        ("size", size, 32), ("per_class", per_class, 256), ("noise", noise, 0.0), ("blur", blur, 0.0),
        ("span", span, size),
    )  # fmt: skip
    changed = ",".join(f"{setting}={value}" for setting, value, default in settings if value != default)
    name = f"photos:{changed}" if changed else "photos"
    return Dataset(name, splits["train"], splits["valid"], splits["test"], PHOTOGRAPHS)


def photograph(name: str) -> np.ndarray:
    """Returns a picture of scikit-image's wheel, [height, width, 3] float32 in [0, 1].

    Raises:
      ImportError: where scikit-image is missing.
    """
    pictures = library("load: photos", "skimage.data", "scikit-image", '"jaxevo[data]"')
    picture = getattr(pictures, name)()
    picture = picture[0] if isinstance(picture, tuple) else picture
    picture = np.asarray(picture, np.float32) / 255.0
    return np.repeat(picture[..., None], 3, axis=-1) if picture.ndim == 2 else picture[..., :3]


def enlarged(picture: np.ndarray, size: int) -> np.ndarray:
    """Enlarges a picture, bilinearly, where fewer than `TILES` tiles for crops of `size` span its shorter side."""
    factor = TILES * np.ceil(ROOM * size) / min(picture.shape[:2])
    if factor <= 1:
        return picture
    shape = [int(np.ceil(length * factor)) for length in picture.shape[:2]]
    transform = library("load: photos", "skimage.transform", "scikit-image", '"jaxevo[data]"')
    return transform.resize(picture, shape, order=1).astype(np.float32)


def shrunk(crops: np.ndarray, size: int) -> np.ndarray:
    """Shrinks crops [N, height, width, 3] to [N, size, size, 3], each pixel the mean of those that it covers."""
    if crops.shape[1] == size:
        return crops
    transform = library("load: photos", "skimage.transform", "scikit-image", '"jaxevo[data]"')
    return transform.resize_local_mean(crops, (len(crops), size, size, 3)).astype(np.float32)


def tiles(shape: tuple[int, ...], size: int, owns: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """Returns the tiles (top, left, bottom, right) of a picture for crops of `size` whose remainder is in `owns`."""
    counts = [length // int(np.ceil(ROOM * size)) for length in shape[:2]]
    rows, columns = (
        np.linspace(0, length, count + 1).astype(int).tolist() for length, count in zip(shape[:2], counts, strict=True)
    )
    return [
        (rows[r], columns[c], rows[r + 1], columns[c + 1])
        for r in range(counts[0])
        for c in range(counts[1])
        if (r + 2 * c) % 5 in owns
    ]


def choose(
    rng: np.random.Generator, picture: np.ndarray, size: int, owns: tuple[int, ...], count: int
) -> list[tuple[int, int]]:
    """Draws the corners (top, left) of `count` crops that lie inside tiles of `owns` and are not flat."""
    regions = tiles(picture.shape, size, owns)
    corners: list[tuple[int, int]] = []
    for _ in range(200 * count):
        top, left, bottom, right = regions[rng.integers(len(regions))]
        y, x = int(rng.integers(top, bottom - size + 1)), int(rng.integers(left, right - size + 1))
        if picture[y : y + size, x : x + size].std(axis=(0, 1)).max() >= FLATTEST:
            corners.append((y, x))
        if len(corners) == count:
            return corners
    raise ValueError(f"photos: crops of {size} pixels with any contrast are too few; ask for a larger size or span")


def _normalised(rng: np.random.Generator, crops: np.ndarray, noise: float, count: int) -> Split:
    # In float32 the rounding errors of these sums would tell pictures apart by their brightness.
    mean = crops.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    scale = np.maximum(crops.std(axis=(1, 2), keepdims=True, dtype=np.float64), FLATTEST / 10)
    inputs = (crops - mean) / scale
    if noise:
        inputs = inputs + noise * rng.standard_normal(inputs.shape, dtype=np.float32)
    labels = np.repeat(np.arange(len(PHOTOGRAPHS), dtype=np.int32), count)
    return Split(np.ascontiguousarray(inputs, dtype=np.float32), labels)
