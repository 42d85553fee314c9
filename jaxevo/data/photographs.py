"""`photos`: crops of the photographs in scikit-image's wheel, to be told apart by texture and shape.

Each picture is cut into 5x5 tiles; tile (row, column) belongs to a split by `(row + 2 * column) % 5`, a Latin square,
so that every row and column of tiles gives three to training and one each to validation and test. A crop lies wholly
inside one tile, so no two splits share a pixel (of an enlarged picture, where a size asks for one).
"""

import importlib

import numpy as np

from jaxevo.data.splits import Dataset, Split

#: Functions of `skimage.data` that read a file of the wheel; others of that module would download.
PHOTOGRAPHS = (
    "astronaut",
    "brick",
    "camera",
    "cell",
    "chelsea",
    "clock",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "hubble_deep_field",
    "immunohistochemistry",
    "moon",
    "retina",
    "rocket",
    "stereo_motorcycle",
)
#: Tiles along each axis of a picture.
TILES = 5
#: Remainders of `(row + 2 * column) % 5` that each split owns.
OWNS = {"train": (0, 2, 4), "valid": (1,), "test": (3,)}
#: Crops whose standard deviation is less, of pixels in [0, 1], show sky or a black border and nothing else.
FLATTEST = 0.03


def photos(size: int = 32, per_class: int = 192, noise: float = 0.0) -> Dataset:
    """Crops of 16 photographs, labelled by photograph.

    Args:
      size: height and width of a crop in pixels; small pictures are enlarged where a tile would not hold it.
      per_class: training crops of each photograph; validation and test have a third of it each.
      noise: standard deviation of Gaussian noise that is added to the normalised crops, which makes them harder.

    Returns:
      The dataset; inputs [N, size, size, 3], each channel of each crop with mean 0 and standard deviation 1.

    Raises:
      ValueError: where a setting is out of range.
      ImportError: where scikit-image is missing.
    """
    for name, value, least in (("size", size, 4), ("per_class", per_class, 3)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"photos: {name} is {value!r}, expected a whole number of at least {least}")
    if not isinstance(noise, int | float) or not 0.0 <= noise < np.inf:
        raise ValueError(f"photos: noise is {noise!r}, expected a standard deviation of at least 0")
    counts = {"train": per_class, "valid": per_class // 3, "test": per_class // 3}
    rng = np.random.default_rng(0)
    crops: dict[str, list[np.ndarray]] = {which: [] for which in OWNS}
    for name in PHOTOGRAPHS:
        picture = enlarge(photograph(name), size)
        for which, count in counts.items():
            corners = choose(rng, picture, size, OWNS[which], count)
            crops[which].append(np.stack([picture[y : y + size, x : x + size] for y, x in corners]))
    splits = {which: _normalised(rng, np.concatenate(parts), noise, counts[which]) for which, parts in crops.items()}
    settings = (("size", size, 32), ("per_class", per_class, 192), ("noise", noise, 0.0))
    changed = ",".join(f"{setting}={value}" for setting, value, default in settings if value != default)
    name = f"photos:{changed}" if changed else "photos"
    return Dataset(name, splits["train"], splits["valid"], splits["test"], PHOTOGRAPHS)


def photograph(name: str) -> np.ndarray:
    """Returns a picture of scikit-image's wheel, [height, width, 3] float32 in [0, 1].

    Raises:
      ImportError: where scikit-image is missing.
    """
    try:
        pictures = importlib.import_module("skimage.data")
    except ImportError as error:
        raise ImportError(
            'load: photos needs scikit-image, which is not installed; pip install "jaxevo[data]"'
        ) from error
    picture = getattr(pictures, name)()
    picture = picture[0] if isinstance(picture, tuple) else picture
    picture = np.asarray(picture, np.float32) / 255.0
    return np.repeat(picture[..., None], 3, axis=-1) if picture.ndim == 2 else picture[..., :3]


def enlarge(picture: np.ndarray, size: int) -> np.ndarray:
    """Enlarges a picture, bilinearly, where its tiles have no room to move a crop of `size` by a quarter of it."""
    least = TILES * (size + max(1, size // 4))
    factor = max(1.0, least / min(picture.shape[:2]))
    if factor == 1.0:
        return picture
    for axis in (0, 1):
        length = int(np.ceil(picture.shape[axis] * factor))
        at = np.linspace(0, picture.shape[axis] - 1, length, dtype=np.float32)
        low = np.minimum(at.astype(int), picture.shape[axis] - 2)
        share = np.expand_dims(at - low, [a for a in range(3) if a != axis])
        picture = picture.take(low, axis) * (1 - share) + picture.take(low + 1, axis) * share
    return picture


def tiles(shape: tuple[int, ...], owns: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """Returns the tiles (top, left, bottom, right) of a picture whose remainder is in `owns`."""
    edges = [np.linspace(0, length, TILES + 1).astype(int) for length in shape[:2]]
    return [
        (int(edges[0][r]), int(edges[1][c]), int(edges[0][r + 1]), int(edges[1][c + 1]))
        for r in range(TILES)
        for c in range(TILES)
        if (r + 2 * c) % TILES in owns
    ]


def choose(
    rng: np.random.Generator, picture: np.ndarray, size: int, owns: tuple[int, ...], count: int
) -> list[tuple[int, int]]:
    """Draws the corners (top, left) of `count` crops that lie inside tiles of `owns` and are not flat."""
    regions = tiles(picture.shape, owns)
    corners: list[tuple[int, int]] = []
    for _ in range(200 * count):
        top, left, bottom, right = regions[rng.integers(len(regions))]
        y, x = int(rng.integers(top, bottom - size + 1)), int(rng.integers(left, right - size + 1))
        if picture[y : y + size, x : x + size].std(axis=(0, 1)).max() >= FLATTEST:
            corners.append((y, x))
        if len(corners) == count:
            return corners
    raise ValueError(f"photos: size {size} leaves too few crops with any contrast; ask for a larger size")


def _normalised(rng: np.random.Generator, crops: np.ndarray, noise: float, count: int) -> Split:
    # In float32 the rounding errors of these sums would tell pictures apart by their brightness.
    mean = crops.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    scale = np.maximum(crops.std(axis=(1, 2), keepdims=True, dtype=np.float64), FLATTEST / 10)
    inputs = (crops - mean) / scale
    if noise:
        inputs = inputs + noise * rng.standard_normal(inputs.shape, dtype=np.float32)
    labels = np.repeat(np.arange(len(PHOTOGRAPHS), dtype=np.int32), count)
    return Split(np.ascontiguousarray(inputs, dtype=np.float32), labels)
