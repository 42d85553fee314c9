"""What units look at (Grad-CAM), and which of them a front agrees on.

B is the batch size, V that of the units that are explained, U that of the units of a space.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.graph import Cut, trace
from jaxevo.graph.pieces import Piece, piece
from jaxevo.network import Network, check_inputs
from jaxevo.pruning.splitting import find_cut

PyTree = Any


def grad_cam(
    network: Network,
    inputs: PyTree,
    at: str | Cut,
    units: Sequence[int],
    *,
    of: str | Cut | None = None,
) -> np.ndarray:
    """Maps where in pictures units find what they respond to.

    The feature map's channels are weighted by the mean over space of the unit's derivative by them, and what adds to
    the unit is kept (Selvaraju et al. 2017, "Grad-CAM", arXiv 1610.02391, equations 1 and 2).

    Args:
      network: the network, for example a backbone with a head behind it.
      inputs: a batch of pictures.
      at: the layer whose feature map is looked at, as in `split`; often the last one before the mean over space.
      units: V indices of the units to explain, in the channels of `of`.
      of: the layer whose units they are, such as a head's hidden one; by default the outputs, that is classes. Of a
        feature with several places the sum over them is explained.

    Returns:
      Maps [V, B, height, width] of the size of the feature map, not negative.

    Raises:
      TypeError: where an argument is of the wrong kind.
      ValueError: where the inputs do not fit, a place is none, or a unit is out of range.
    """
    if not isinstance(network, Network):
        raise TypeError(f"grad_cam: network is a {type(network).__name__}, expected a jaxevo.Network")
    check_inputs(f"grad_cam of {network.name!r}", network.inputs, inputs)
    graph = trace(network)
    cut = find_cut("grad_cam", graph, at)
    if cut.feature.kind != "map":
        maps = [one.name for one in graph.cuts if one.feature.kind == "map"]
        raise ValueError(
            f"grad_cam: the feature at {cut.name!r} is {cut.feature}, expected a map of channels over height and "
            f"width; {'take ' + repr(maps[-1]) if maps else 'this network has none'}"
        )
    outputs = list(graph.program.outputs)
    if of is None and len(outputs) > 1:
        raise ValueError(f"grad_cam: {network.name!r} has {len(outputs)} outputs; say which layer in of")
    end = outputs[0] if of is None else find_cut("grad_cam", graph, of).value
    channel = graph.features[end].channel
    if channel is None:
        raise ValueError(
            f"grad_cam: the feature at {of!r} is {graph.features[end]}, without channels; take another layer"
        )
    wanted = _check_units(units, graph.features[end].channels)
    if of is not None and graph.program.producer[end] <= graph.program.producer[cut.value]:
        raise ValueError(f"grad_cam: of is {of!r}, which does not come behind {cut.name!r}; take a later layer")
    before = piece(graph, graph.program.inputs, (cut.value,))
    (feature,) = jax.jit(before.apply)(before.select(network.params), *jax.tree.leaves(inputs))
    behind = piece(graph, (cut.value,), (end,))
    explain, leaves = (
        jax.jit(functools.partial(_map, behind, channel, cut.feature.channel)),
        behind.select(network.params),
    )
    return np.stack([np.asarray(explain(leaves, feature, unit)) for unit in wanted])


def _map(
    behind: Piece, channel: int, axis: int | None, leaves: PyTree, feature: jax.Array, unit: jax.Array
) -> jax.Array:
    def response(feature):
        (values,) = behind.apply(leaves, feature)
        return jnp.take(values, unit, axis=channel).sum()

    slopes = jax.grad(response)(feature)
    weights = slopes.mean(tuple(place for place in range(1, 4) if place != axis), keepdims=True)
    return jax.nn.relu((weights * feature).sum(axis))


def enlarge(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarges maps to the size of the pictures, bilinearly.

    Args:
      maps: [..., height, width], as `grad_cam` gives them.
      size: height and width of the pictures.

    Returns:
      [..., *size].

    Raises:
      ValueError: where maps have no two axes.
    """
    maps = np.asarray(maps)
    if maps.ndim < 2 or not np.issubdtype(maps.dtype, np.number):
        raise ValueError(f"enlarge: maps are {maps.dtype} {list(maps.shape)}, expected numbers [..., height, width]")
    whole = isinstance(size, tuple | list) and all(isinstance(n, int | np.integer) and n > 0 for n in size)
    if not whole or len(size) != 2:
        raise ValueError(f"enlarge: size is {size!r}, expected (height, width), whole numbers of at least 1")
    return np.asarray(jax.image.resize(jnp.asarray(maps), (*np.shape(maps)[:-2], *size), "bilinear"))


def frequency(genomes: Any) -> np.ndarray:
    """Returns how often each unit is kept by the members of a front, the published sign of what matters.

    Args:
      genomes: bool [n, U], such as `result.front.genomes`.

    Returns:
      Shares, float64 [U] in [0, 1]; `numpy.argsort(-frequency(genomes))[:9]` are the most frequent nine.

    Raises:
      ValueError: where genomes are no bits [n, U].
    """
    found = np.asarray(genomes)
    if found.ndim != 2 or found.dtype != bool or not len(found):
        raise ValueError(
            f"frequency: genomes are {found.dtype} {list(found.shape)}, expected bool [n, U], the genomes of at least "
            "one member"
        )
    return found.mean(0)


def _check_units(units: Any, channels: int) -> np.ndarray:
    wanted = np.asarray(units)
    if wanted.ndim != 1 or not len(wanted) or not np.issubdtype(wanted.dtype, np.integer):
        raise ValueError(f"grad_cam: units is {units!r}, expected a list of whole numbers, indices of units")
    if wanted.min() < 0 or wanted.max() >= channels:
        raise ValueError(f"grad_cam: units are {wanted.tolist()}, expected indices in [0, {channels})")
    return wanted
