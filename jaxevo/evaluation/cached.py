"""`features`: what a frozen network makes of a data set, computed once. N is the number of examples."""

import dataclasses
import hashlib
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo import checkpoint
from jaxevo.checks import check_flag, check_path, check_size, check_weights
from jaxevo.data import Dataset, Split, batches
from jaxevo.graph import accelerate as accelerated
from jaxevo.graph import trace
from jaxevo.network import Network, check_inputs

#: Changes where the same network and examples would give other features than an older release kept on disk.
_FORMAT = "1"


def features(
    backbone: Network,
    data: Any,
    *,
    folder: str | os.PathLike | None = None,
    batch: int = 64,
    accelerate: bool = True,
    on_device: bool = False,
) -> Any:
    """Runs a frozen network over a data set once, so that whatever stands on it trains on what it gives.

    Args:
      backbone: the network, whose output is one array [B, ...].
      data: a `Dataset`, or one `Split` of examples; or a list of such, for which the backbone is compiled once.
      folder: where features are kept on disk, each split under a fingerprint of the network (its graph and every bit of
        its parameters) and of its examples; what lies there already is read and not computed. Labels are not part of
        it.
      batch: examples at a time, at least 1.
      accelerate: compute in the way that is fastest on the platform (`graph.accelerate`); agrees to 1e-5 relative.
      on_device: return arrays that lie on the default device rather than on the host.

    Returns:
      The same data with features [N, ...] for inputs, float32.

    Raises:
      TypeError, ValueError: where an argument is not as above, or the examples do not fit the network.
      checkpoint.DamagedError: where a file in the folder is not what was written.
    """
    if not isinstance(backbone, Network):
        raise TypeError(f"features: backbone is a {type(backbone).__name__}, expected a jaxevo.Network")
    given = data if isinstance(data, list) else [data]
    for one in given:
        if not isinstance(one, Dataset | Split):
            raise TypeError(
                f"features: data is a {type(one).__name__}, expected a jaxevo.data.Dataset or one of its splits"
            )
    check_flag("features", "accelerate", accelerate)
    check_flag("features", "on_device", on_device)
    check_weights("features", "backbone", backbone.params)
    check_size("features", "batch", batch)
    for part in (part for one in given for part in _splits(one)):
        check_inputs(f"features of {backbone.name!r}", backbone.inputs, part.inputs)
    _check_output(backbone)
    place = None if folder is None else check_path("features", "folder", folder)
    known = None if place is None else _network_digest(backbone, accelerate)
    run = jax.jit((accelerated(backbone) if accelerate else backbone).apply)

    def made(split: Split) -> Split:
        path = None if place is None else place / _name(known, split.inputs)
        inputs = _kept(path) if path is not None and path.exists() else _computed(run, backbone, split, batch)
        if path is not None and not path.exists():
            checkpoint.write(path, {"features": inputs}, {"network": backbone.name})
        return Split(jnp.asarray(inputs) if on_device else inputs, split.labels)  # pyright: ignore[reportArgumentType]

    found = [_joined(backbone, one, [made(split) for split in _splits(one)]) for one in given]
    return found if isinstance(data, list) else found[0]


def _splits(data: Any) -> list[Split]:
    return [data] if isinstance(data, Split) else [data.train, data.valid, data.test]


def _joined(backbone: Network, data: Any, splits: list[Split]) -> Any:
    if isinstance(data, Split):
        return splits[0]
    name = f"{backbone.name} of {data.name}"
    return dataclasses.replace(data, name=name, train=splits[0], valid=splits[1], test=splits[2])


def _computed(run: Any, backbone: Network, split: Split, batch: int) -> np.ndarray:
    params = jax.device_put(backbone.params)
    found = []
    for part in batches(split, min(batch, len(split))):
        found.append(np.asarray(run(params, part.inputs), np.float32)[part.mask])
    return np.concatenate(found)


def _kept(path: pathlib.Path) -> np.ndarray:
    tree, _ = checkpoint.read(path, {"features": 0})
    return tree["features"]


def _check_output(backbone: Network) -> None:
    example = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((2, *leaf.shape), leaf.dtype), backbone.inputs)
    outputs = jax.eval_shape(backbone.apply, backbone.params, example)
    if not isinstance(outputs, jax.ShapeDtypeStruct) or not jnp.issubdtype(outputs.dtype, jnp.floating):
        raise ValueError(
            f"features: {backbone.name!r} gives {outputs}, expected one array of floating numbers; split the network "
            "where a single feature leaves it"
        )


def _network_digest(backbone: Network, accelerate: bool) -> str:
    graph = trace(backbone).fingerprint
    return f"{_FORMAT} {graph} {checkpoint.digest(backbone.params)} {accelerate} {jax.default_backend()}"


def _name(network: str | None, inputs: np.ndarray) -> str:
    return hashlib.sha256(f"{network} {checkpoint.digest({'inputs': inputs})}".encode()).hexdigest()[:32]
