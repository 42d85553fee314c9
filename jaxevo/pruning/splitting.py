"""A network split in two, a backbone and the rest behind it, and two joined to one."""

import dataclasses
import difflib

import jax

from jaxevo.graph import Cut, NetworkGraph, piece, trace
from jaxevo.network import Network, batched, spec


def split(network: Network, at: str | Cut) -> tuple[Network, Network]:
    """Splits a network at a feature through which everything flows.

    Args:
      network: any network with arrays for inputs and outputs.
      at: name of the layer behind which it is split, as `jaxevo.graph.draw` shows it, or one of the graph's `cuts`.

    Returns:
      The backbone, inputs to the feature, and the rest, feature to outputs; `rest(backbone(x))` is `network(x)`. Their
      parameters are `{path: array}`, each what its part reads.

    Raises:
      TypeError: where network is no `Network` or at no name or cut.
      ValueError: where it cannot be traced, there is no such place, or nothing is left behind it.
    """
    if not isinstance(network, Network):
        raise TypeError(f"split: network is a {type(network).__name__}, expected a jaxevo.Network")
    graph = trace(network)
    cut = find_cut("split", graph, at)
    return _before(graph, cut), _behind(graph, cut)


def join(backbone: Network, rest: Network) -> Network:
    """Puts a network behind another one, such as a pruned head behind its backbone: `rest(backbone(x))`.

    Args:
      backbone: a network with one output.
      rest: a network whose one input is like that output.

    Returns:
      One network, with the parameters `{"backbone": ..., "rest": ...}`, the backbone's inputs and the rest's outputs.

    Raises:
      TypeError: where an argument is no `Network`.
      ValueError: where the output of the one is not the input of the other.
    """
    for name, value in (("backbone", backbone), ("rest", rest)):
        if not isinstance(value, Network):
            raise TypeError(f"join: {name} is a {type(value).__name__}, expected a jaxevo.Network")
    between = jax.eval_shape(backbone.apply, backbone.params, batched(backbone.inputs, 1))
    if spec(between) != rest.inputs:
        raise ValueError(
            f"join: {backbone.name!r} gives {spec(between)}, but {rest.name!r} takes {rest.inputs}; expected the same; "
            "split both networks at the same feature"
        )

    def apply(params, inputs):
        return rest.apply(params["rest"], backbone.apply(params["backbone"], inputs))

    return dataclasses.replace(
        rest,
        apply=apply,
        params={"backbone": backbone.params, "rest": rest.params},
        inputs=backbone.inputs,
        name=f"{backbone.name} > {rest.name}",
        convention=backbone.convention,
    )


def find_cut(where: str, graph: NetworkGraph, at: str | Cut) -> Cut:
    """Returns the cut of a graph that a name means.

    Args:
      where: whose argument `at` is, the start of messages.
      graph: the network.
      at: name of a layer, or one of the cuts themselves.

    Raises:
      TypeError: where it is neither.
      ValueError: where no such layer is there, or the network does not all flow through its end.
    """
    cuts = {cut.name: cut for cut in graph.cuts if cut.value not in graph.program.outputs}
    if isinstance(at, Cut):
        if at not in cuts.values():
            raise ValueError(
                f"{where}: at is a cut {at.name!r} that {graph.name!r} does not have; take one of its cuts"
            )
        at = at.name
    if not isinstance(at, str):
        raise TypeError(f"{where}: at is {at!r}, expected the name of a layer or a Cut of jaxevo.trace(network).cuts")
    if at not in cuts:
        raise ValueError(f"{where}: at is {at!r}, {_why(graph, at)}; {_nearest(at, list(cuts))}")
    feature = cuts[at].feature
    if feature.batch != 0:
        raise ValueError(
            f"{where}: the feature at {at!r} is {feature}, without a leading batch axis; {_nearest(at, list(cuts))}"
        )
    return cuts[at]


def _why(graph: NetworkGraph, at: str) -> str:
    layers = {layer.name: layer for layer in graph.layers}
    if at not in layers:
        return f"but {graph.name!r} has no such layer"
    if layers[at].value in graph.program.outputs:
        return f"the last layer of {graph.name!r}, behind which nothing is left"
    return f"but {graph.name!r} does not all flow through the end of that layer"


def _nearest(at: str, names: list[str]) -> str:
    near = difflib.get_close_matches(at, names, n=4, cutoff=0.4) or names[-4:]
    return f"take one of its {len(names)} cuts, such as {', '.join(map(repr, near))}" if names else "it has no cuts"


def _before(graph: NetworkGraph, cut: Cut) -> Network:
    part = piece(graph, graph.program.inputs, (cut.value,))

    def apply(params, inputs):
        return part.apply(params, *jax.tree.leaves(inputs))[0]

    params, name = part.select(graph.network.params), f"{graph.name}[:{cut.name}]"
    return dataclasses.replace(graph.network, apply=apply, params=params, name=name, output="values", classes=None)


def _behind(graph: NetworkGraph, cut: Cut) -> Network:
    part = piece(graph, (cut.value,), graph.program.outputs)
    structure, dtype = graph.program.structure, graph.program.avals[cut.value].dtype

    def apply(params, inputs):
        return jax.tree.unflatten(structure, part.apply(params, inputs))

    return dataclasses.replace(
        graph.network,
        apply=apply,
        params=part.select(graph.network.params),
        inputs=jax.ShapeDtypeStruct(cut.feature.shape, dtype),
        name=f"{graph.name}[{cut.name}:]",
        convention=None,
    )
