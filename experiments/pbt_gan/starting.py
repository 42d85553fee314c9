"""What a run begins with: pictures, the search space, what makes the run this run, and its keys."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.loading import loaded
from experiments.parents import rows_of
from experiments.pbt_gan.cells import cells
from experiments.pbt_gan.chains import chains
from experiments.pbt_gan.presets import Settings
from experiments.resizing import resized
from jaxevo import interop, pbt
from jaxevo.data import Dataset, Split
from jaxevo.network import Network

#: Share of the brightest and darkest values of train that are cut off where pictures are brought to [-1, 1].
_CUT = 1e-3


def load(settings: Settings) -> Dataset:
    """Loads the pictures of a run, [N, size, size, C] in [-1, 1], and says in one line what is missing.

    Raises:
      SystemExit: where the data or a package is not there.
    """
    dataset = loaded(settings.data)
    low, high = np.quantile(dataset.train.inputs, [_CUT, 1 - _CUT])

    def prepared(split: Split) -> Split:
        inputs = resized((split.inputs.astype(np.float32) - low) / (high - low) * 2 - 1, settings.size)
        return Split(np.clip(inputs, -1, 1), split.labels)

    splits = {which: prepared(getattr(dataset, which)) for which in ("train", "valid", "test")}
    count = len(dataset.train)
    if settings.examples is not None and settings.examples < count:
        splits["train"] = rows_of(splits["train"], np.arange(settings.examples) * count // settings.examples)
    return dataclasses.replace(dataset, **splits)


def from_file(path: str, pictures: tuple[int, ...]) -> Network:
    """Takes in the network of an ONNX file as one that gives features of pictures [B, height, width, C] in [-1, 1].

    Args:
      path: a file whose network takes pictures [B, 3, height, width] in [0, 1], as the Inception network of the usual
        programs for FID does, and gives features.
      pictures: height, width and C, 1 or 3, of the pictures, which are brought to the size of those of the file.

    Raises:
      SystemExit: where it is no such file.
    """
    try:
        network = interop.from_onnx(path)
    except (OSError, ValueError, ImportError) as error:
        raise SystemExit(f"--features {path}: {error}") from None
    shape = getattr(network.inputs, "shape", ())
    if len(shape) != 3 or shape[0] != 3:
        raise SystemExit(f"--features {path}: takes {network.inputs}, expected pictures [B, 3, height, width]")

    def apply(params: Any, given: jax.Array) -> jax.Array:
        colored = jnp.broadcast_to((given + 1) / 2, (*given.shape[:3], 3))
        enlarged = jax.image.resize(colored, (len(given), *shape[1:], 3), "linear")
        return network.apply(params, enlarged.transpose(0, 3, 1, 2))

    inputs = jax.ShapeDtypeStruct(pictures, jnp.float32)
    return dataclasses.replace(network, apply=apply, inputs=inputs, output="values", classes=None)


def keys_of(seed: int) -> dict[str, jax.Array]:
    """Returns the keys of everything that is drawn; all methods share one, and so begin with the same members."""
    names = ("classifier", "methods", "valid", "test", "pictures")
    return dict(zip(names, jax.random.split(jax.random.key(seed), len(names)), strict=True))


def architecture_of(settings: Settings, channels: int) -> pbt.Architecture:
    """Returns the search space of a run."""
    if settings.cells == "chains":
        return chains(channels, **settings.sizes)
    return cells(settings.size, channels, **settings.sizes)
