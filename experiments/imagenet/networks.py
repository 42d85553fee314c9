"""Networks by name, each with the recipe that its pictures are prepared by."""

import argparse
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import modules, pretrained, zoo
from jaxevo import checkpoint, interop
from jaxevo.data import IMAGENET, Recipe
from jaxevo.data.recipes import CROP
from jaxevo.network import Convention, Network

KINDS = ("torch:timm/NAME", "torch:efficientnet-lite0", "onnx:PATH", "flax:NAME", "flax:NAME@CHECKPOINT")


class Taken(NamedTuple):
    """A network that came in.

    network: over pictures [B, size, size, 3].
    recipe: how they are prepared.
    """

    network: Network
    recipe: Recipe


def take(name: str, options: argparse.Namespace, classes: Sequence[str]) -> Taken:
    """Takes in a network.

    Args:
      name: as in `KINDS`. PyTorch's come with the weights that were published for ImageNet. A checkpoint is a folder
        that `jaxevo.checkpoint.write(path, network.params)` wrote; without one the zoo's networks are random.
      options: size, resize and interpolation, None for what goes with the network.
      classes: names of the data's classes.

    Returns:
      The network and its recipe.

    Raises:
      SystemExit: where the name is not known, something is missing, or the network has other classes.
    """
    kind, _, rest = name.partition(":")
    if not rest or kind not in _DOORS:
        raise SystemExit(f"--network is {name!r}, expected {', '.join(KINDS)}")
    try:
        taken = _DOORS[kind](rest, options.size, classes)
    except (ValueError, ImportError, FileNotFoundError) as error:
        raise SystemExit(f"--network {name}: {error}") from None
    given = {key: getattr(options, key) for key in ("resize", "interpolation") if getattr(options, key) is not None}
    try:
        taken = taken._replace(recipe=dataclasses.replace(taken.recipe, **given))
    except ValueError as error:
        raise SystemExit(f"--resize: {error}") from None
    _check_classes(name, taken.network, len(classes))
    return taken


def alike(taken: Sequence[Taken]) -> tuple[tuple[Network, ...], Recipe]:
    """Lets networks read the same pictures.

    Args:
      taken: networks of one size, whose pictures are resized the same way; they may be normalised differently.

    Returns:
      The networks, over pictures that are prepared by the first one's recipe, and that recipe.

    Raises:
      SystemExit: where sizes or ways of resizing differ.
    """
    recipe = taken[0].recipe
    for one in taken[1:]:
        if dataclasses.replace(one.recipe, convention=recipe.convention) != recipe:
            raise SystemExit(
                f"--network {taken[0].network.name} reads pictures by {_words(recipe)}, {one.network.name} by "
                f"{_words(one.recipe)}; bring them to one way with --size, --resize and --interpolation"
            )
    return tuple(_renormalised(one.network, recipe.convention, one.recipe.convention) for one in taken), recipe


def _words(recipe: Recipe) -> str:
    return f"{recipe.size} of {recipe.resize} pixels, {recipe.interpolation}"


def _renormalised(network: Network, came: Convention, wanted: Convention) -> Network:
    """Returns a network over pictures of another normalisation."""
    if came == wanted:
        return network
    mean, scale, own_mean, own_scale = (
        np.array(one, np.float32) for one in (came.mean, came.scale, wanted.mean, wanted.scale)
    )
    factor, shift = scale / own_scale, (mean - own_mean) / own_scale
    return dataclasses.replace(network, apply=lambda params, inputs: network.apply(params, inputs * factor + shift))


def _check_classes(name: str, network: Network, count: int) -> None:
    outputs = jax.eval_shape(network.apply, network.params, jax.ShapeDtypeStruct((2, *network.inputs.shape), "float32"))
    shape = getattr(outputs, "shape", None)
    if network.output == "values" or shape is None or len(shape) != 2 or shape[-1] != count:
        raise SystemExit(
            f"--network {name} gives {network.output} {None if shape is None else list(shape)}, expected one number "
            f"for each of the {count} classes of the data; where the data are a part of a set with more classes, list "
            "them all in classes.txt, a line for each label"
        )


def _torch(name: str, size: int | None, classes: Sequence[str]) -> Taken:
    if name.startswith("timm/"):
        if missing := modules.absent(modules.TIMM):
            raise ImportError(f"needs {', '.join(missing)}; pip install them first")
        return _timm(name.removeprefix("timm/"), size, classes)
    if name not in pretrained.NAMES:
        raise ValueError(f"there are torch:timm/NAME and torch:{', torch:'.join(pretrained.NAMES)}")
    if missing := pretrained.missing(name):
        raise ImportError(f"needs {', '.join(missing)}; pip install them first")
    size = size or pretrained.picture_size(name)
    # The crop that these were evaluated with: all but 32 pixels (published code of EfficientNet-Lite).
    convention = Convention("HWC", (pretrained.MEAN,), (pretrained.SCALE,))
    network = modules.over_pictures(pretrained.module(name, size), (size, size, 3), name, classes=tuple(classes))
    return Taken(network, Recipe(size, size + 32, "bicubic", convention))


def _timm(name: str, size: int | None, classes: Sequence[str]) -> Taken:
    module = modules.timm(name, pretrained=True)
    known = module.pretrained_cfg
    size = size or int(known["input_size"][-1])
    mean, scale = (tuple(255 * value for value in known[key]) for key in ("mean", "std"))
    recipe = Recipe(size, int(size / known["crop_pct"]), known["interpolation"], Convention("HWC", mean, scale))
    return Taken(modules.over_pictures(module, (size, size, 3), name, classes=tuple(classes)), recipe)


def _onnx(path: str, size: int | None, classes: Sequence[str]) -> Taken:
    network = dataclasses.replace(interop.from_onnx(path), classes=tuple(classes))
    shape: Any = getattr(network.inputs, "shape", ())
    first = len(shape) == 3 and shape[0] == 3
    sides = shape[1:] if first else shape[:2]
    if len(shape) != 3 or sides[0] != sides[1] or (not first and shape[-1] != 3) or size not in (None, sides[0]):
        raise ValueError(f"takes {network.inputs}, expected pictures [3, size, size] or [size, size, 3] of --size")
    return Taken(_channels_last(network) if first else network, _usual(int(sides[0]), network.convention))


def _flax(name: str, size: int | None, classes: Sequence[str]) -> Taken:
    name, _, path = name.partition("@")
    usual = zoo.SIZES[name].inputs[0] if name in zoo.SIZES else 224
    side = size or usual
    if not path:
        print(f"{name} has random weights: no checkpoint is named", flush=True)
        network = zoo.random_network(jax.random.key(0), name, (side, side, 3), len(classes))
    else:
        network = zoo.abstract_network(name, (side, side, 3), len(classes))
        params, _ = checkpoint.read(pathlib.Path(path), network.params)
        wanted, came = (jax.tree.map(jnp.shape, tree) for tree in (network.params, params))
        if wanted != came:
            raise ValueError(
                f"the checkpoint at {path} has arrays of other shapes than {name} with {len(classes)} classes"
            )
        network = dataclasses.replace(network, params=params)
    return Taken(dataclasses.replace(network, classes=tuple(classes)), _usual(side, None))


def _usual(size: int, convention: Convention | None) -> Recipe:
    """Returns torchvision's recipe, by which most networks for ImageNet are evaluated."""
    convention = IMAGENET if convention is None else dataclasses.replace(convention, layout="HWC")
    return Recipe(size, round(size / CROP), "bilinear", convention)


def _channels_last(network: Network) -> Network:
    """Returns a network over pictures [B, size, size, 3] of one that takes channels first."""

    def apply(params: Any, inputs: jax.Array) -> Any:
        return network.apply(params, jnp.moveaxis(inputs, -1, 1))

    channels, height, width = network.inputs.shape
    inputs = jax.ShapeDtypeStruct((height, width, channels), network.inputs.dtype)
    return dataclasses.replace(network, apply=apply, inputs=inputs)


_DOORS = {"torch": _torch, "onnx": _onnx, "flax": _flax}
