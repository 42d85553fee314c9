"""Children of masks over layers: those whose first mutated layer is n share everything before it.

A network is divided before each layer that is mutated; the engine runs each distinct piece once for a population.
"""

import functools
from collections.abc import Callable

import jax
import numpy as np

from jaxevo.graph import NetworkGraph, Piece, divide
from jaxevo.space import INPUTS, Segment, Step, Work
from jaxevo.subspace.children import Mutation
from jaxevo.subspace.masks import Base, Masks
from jaxevo.subspace.pieces import Drawn, Term, changed, draw, terms_of


def layerwise(graph: NetworkGraph, masks: Masks, base: Base) -> Work:
    """Divides the children of masks over layers before each layer that is mutated.

    A step has a variant where a mutation touches its piece, so that children share all that lies before.

    Args:
      graph: the network; its outputs are one array.
      masks: masks over layers.
      base: the space's parameters.
    """
    program, chosen = graph.program, masks.chosen
    ends = {v for layer in set(chosen.layers) for v in graph.layers[layer].reads} - set(program.inputs)
    pieces = divide(graph, tuple(sorted(ends)))
    place = {part.writes[0]: i for i, part in enumerate(pieces)} | dict.fromkeys(program.inputs, INPUTS)
    reads = [tuple(dict.fromkeys(place[v] for v in part.reads)) for part in pieces]
    touched = _touched(masks, base, pieces)

    def plan(genome: Mutation) -> tuple[Step, ...]:
        variant = terms_of(genome)
        changed = set().union(*(touched(term) for term in variant if term[3] and term[4]))
        return tuple(Step(i, variant if i in changed else (), read) for i, read in enumerate(reads))

    # One program draws for all pieces, so that it is compiled once.
    drawn = jax.jit(functools.partial(draw, masks))
    return Work(tuple(_segment(graph, masks, drawn, part) for part in pieces), plan)


def _touched(masks: Masks, base: Base, pieces: tuple[Piece, ...]) -> Callable[[Term], frozenset[int]]:
    """Returns the function that says which pieces a mutation, a tuple of numbers, touches."""
    chosen = masks.chosen
    first = np.asarray(base.units.coordinates)[np.asarray(base.units.start)]
    layers = np.array(chosen.layers)[np.searchsorted(chosen.offsets[1:], first, side="right")]
    of_layer = {
        layer: frozenset(
            i
            for i, part in enumerate(pieces)
            if any(
                leaf in part.parameters for leaf, at in zip(chosen.leaves, chosen.layers, strict=True) if at == layer
            )
        )
        for layer in set(chosen.layers)
    }
    if masks.subspaces == 1:
        return lambda term: frozenset().union(*of_layer.values())  # noqa: ARG005
    find = jax.jit(lambda base, noise, subspace: masks.of(base, jax.random.wrap_key_data(noise), subspace).units)
    small = _without_parameters(base)
    known: dict[int, frozenset[int]] = {}

    def touched(term: Term) -> frozenset[int]:
        subspace = int(term[2])
        if masks.dynamic or subspace not in known:
            units = np.asarray(find(small, np.array(term[:2], np.uint32), term[2]))
            known[subspace] = frozenset().union(*(of_layer[int(layers[u])] for u in units if u < len(layers)))
        return known[subspace]

    return touched


def _without_parameters(base: Base) -> Base:
    """Returns what drawing reads: calls take longer the more arrays they are given."""
    return base._replace(params=(), flat=())  # type: ignore[arg-type]


def _segment(graph: NetworkGraph, masks: Masks, drawn: Callable[..., Drawn], part: Piece) -> Segment:
    inputs = graph.program.inputs
    others = list(dict.fromkeys(v for v in part.reads if v not in inputs))
    chosen = masks.chosen
    mine = [index for index, leaf in enumerate(chosen.leaves) if leaf in part.parameters]
    names = [graph.paths[chosen.leaves[index]] for index in mine]
    put = jax.jit(functools.partial(changed, chosen, mine))

    def apply(leaves, variant, *features):
        del variant
        found = dict(zip(others, features[len(features) - len(others) :], strict=True))
        if len(features) > len(others):
            found |= dict(zip(inputs, jax.tree.leaves(features[0]), strict=True))
        return part.apply(leaves, *(found[v] for v in part.reads))[0]

    def make(base: Base, variant):
        own = part.select(base.params)
        leaves = put([own[name] for name in names], drawn(_without_parameters(base), variant))
        return own | dict(zip(names, leaves, strict=True))

    return Segment(f"{graph.name}:{part.writes[0]}", apply, lambda base: part.select(base.params), make)
