"""Features of several networks on the same inputs, laid out so that two can be compared channel by channel."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxevo.graph import Feature, NetworkGraph, piece
from jaxevo.stitching import arrangement
from jaxevo.stitching.inputs import adapter
from jaxevo.stitching.joints import Pair
from jaxevo.stitching.stitches import Stitch

PyTree = Any

#: Index of a network and number of a value of it.
End = tuple[int, int]


class Views:
    """Arrays [B, ..., channels] made of features of networks, each computed once.

    parents: the networks' graphs.
    """

    def __init__(self, parents: Sequence[NetworkGraph]):
        self.parents = tuple(parents)
        self._made: dict[tuple, tuple[End, Callable[[jax.Array], jax.Array]]] = {}

    def whole(self, parent: int, value: int) -> int:
        """Returns the index of a feature as it is, channels last."""
        feature = self._feature((parent, value))
        return self._add(("whole", parent, value), (parent, value), lambda x: _last(feature, x))

    def laid(self, source: End, target: End) -> tuple[int, int]:
        """Returns the indices of a feature laid out like another, and of that other one."""
        reads, makes = self._feature(source), self._feature(target)
        return (
            self._add(("laid", source, target), source, lambda x: _last(makes, arrangement.arrange(reads, makes, x))),
            self._add(("shown", source, target), target, lambda x: _last(makes, arrangement.shown(reads, makes, x))),
        )

    def classes(self, source: End, target: End) -> tuple[int, int] | None:
        """Returns the indices of a feature's mean, and of the other's class tokens; None where there are none."""
        reads, makes = self._feature(source), self._feature(target)
        if not arrangement.class_tokens(reads, makes):
            return None

        def tokens(x):
            return arrangement.taken_class_tokens(makes, x).reshape(x.shape[0], -1)

        return (
            self._add(("summary", source), source, lambda x: arrangement.summary(reads, x)),
            self._add(("class", target), target, tokens),
        )

    def features(self, params: tuple[PyTree, ...], inputs: PyTree) -> list[jax.Array]:
        """Computes the views from the networks' parameters and a batch as the first network takes it; pure."""
        found = values_of(self.parents, [end for end, _ in self._made.values()], params, inputs)
        return [function(found[end]) for end, function in self._made.values()]

    def _feature(self, end: End) -> Feature:
        return self.parents[end[0]].features[end[1]]

    def _add(self, name: tuple, end: End, function: Callable[[jax.Array], jax.Array]) -> int:
        self._made.setdefault(name, (end, function))
        return list(self._made).index(name)


def ends_of(pairs: Sequence[Pair], stitch: Stitch) -> tuple[End, End]:
    """Returns the feature that a stitch of these pairs reads, and the one that it replaces."""
    pair = pairs[stitch.pair]
    ends = (pair.parents[0], pair.a.value), (pair.parents[1], pair.b.value)
    return ends if stitch.source == pair.parents[0] else (ends[1], ends[0])


def values_of(
    parents: Sequence[NetworkGraph], ends: Sequence[End], params: tuple[PyTree, ...], inputs: PyTree
) -> dict[End, jax.Array]:
    """Computes features of several networks on the same inputs; pure.

    Args:
      parents: the networks.
      ends: which features.
      params: the networks' parameters.
      inputs: a batch as the first network takes it.

    Returns:
      The features.
    """
    found: dict[End, jax.Array] = {}
    for parent, graph in enumerate(parents):
        values = tuple(dict.fromkeys(value for p, value in ends if p == parent))
        if values:
            part = piece(graph, graph.program.inputs, values)
            adapted = adapter(parents[0].network, graph.network)(inputs)
            results = part.apply(part.select(params[parent]), *jax.tree.leaves(adapted))
            found |= {(parent, value): result for value, result in zip(values, results, strict=True)}
    return found


def _last(feature: Feature, x: jax.Array) -> jax.Array:
    """Moves the channels of a feature to the end."""
    assert feature.channel is not None
    return jnp.moveaxis(x, feature.channel, -1)
