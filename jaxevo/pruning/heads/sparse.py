"""Spaces of sparse heads (arXiv 2302.10253): `neurons`, a bit for each unit, and `connections`, one for each link.

F is the number of features, G that of bits, L that of hidden layers.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.checks import check_size
from jaxevo.network import Member, Network
from jaxevo.programs import briefly
from jaxevo.pruning.bits import sample_bits, vary_bits
from jaxevo.pruning.heads.dense import Head
from jaxevo.pruning.heads.patterns import Pattern, cleared, cut, cut_pattern, paste, places, room, run
from jaxevo.space import Cost, Learning, Space

PyTree = Any

#: What training rounds the widths of compacted heads up to: one program serves all heads of a width.
TRAINED_MULTIPLE = 64

Groups = Literal["hidden", "features", "all"]


def neurons(
    head: Head, prune: Groups = "hidden", *, mutation: float | None = None, multiple: int = 1, start: PyTree = None
) -> Space:
    """Makes the space of a head's networks in which units are left out with all their connections.

    A genome is one bool array [G], a bit for each unit that may be left out, group after group. Individuals are drawn
    at densities of their own from U(0, 1), crossed uniformly and mutated bit by bit; each group keeps a unit, and one
    of all is left out at least. Members are trained: what is left out is zero, has no gradient and stays zero. `decode`
    gives a really smaller head, and refuses a genome that leaves out nothing.

    Args:
      head: made by `pruning.head`.
      prune: which units: those of the hidden layers; the features (as in the published fronts, whose shares are of
        2,048 features); or both.
      mutation: probability of each bit to flip, in [0, 1]; by default 1 / G.
      multiple: what `decode` rounds numbers of units up to a multiple of.
      start: parameters that every member begins with, trained or drawn once, instead of fresh ones for each.

    Returns:
      The space.

    Raises:
      TypeError: where head is none.
      ValueError: where another argument is not as above.
    """
    _check_head("neurons", head)
    chosen = {"hidden": (False, True), "features": (True, False), "all": (True, True)}
    if prune not in chosen:
        raise ValueError(f"neurons: prune is {prune!r}, expected one of {', '.join(map(repr, chosen))}")
    first, others = chosen[prune]
    inner = head.widths[:-1]
    pruned = [first, *[others] * (len(inner) - 1)]
    groups = tuple(width for width, taken in zip(inner, pruned, strict=True) if taken)

    def pattern(bits: Any) -> Pattern:
        parts = iter(_split(bits, groups))
        units = tuple(next(parts) if taken else None for taken in pruned)
        return Pattern(None, units, (None,) * (len(inner) - 1))

    return _space(f"{prune} units of {head.name}", head, groups, pattern, lambda bits: bits, mutation, multiple, start)


def connections(head: Head, *, mutation: float | None = None, multiple: int = 1, start: PyTree = None) -> Space:
    """Makes the space of a head's networks in which single connections of the hidden layers are left out.

    A genome is one bool array [G], a bit for each connection, layer after layer, those of a unit `from` in a row. A
    unit that nothing reaches, or that reaches nothing, is left out as a whole. All else is as in `neurons`; connections
    that are left out between units that stay are zeros in what `decode` gives.

    Args:
      head: made by `pruning.head`; the connections to its outputs stay.
      mutation, multiple, start: as in `neurons`.

    Returns:
      The space.

    Raises:
      TypeError: where head is none.
      ValueError: where another argument is not as above.
    """
    _check_head("connections", head)
    inner = head.widths[:-1]
    groups = tuple(rows * columns for rows, columns in itertools.pairwise(inner))

    def pattern(bits: Any) -> Pattern:
        shapes = itertools.pairwise(inner)
        links = tuple(part.reshape(shape) for part, shape in zip(_split(bits, groups), shapes, strict=True))
        units = [links[0].any(axis=0)]
        for link in links[1:]:
            units.append((link & units[-1][:, None]).any(axis=0))
        # What reaches nothing active is left out, and so what reaches only such units: from the last layer on.
        for index in range(len(links) - 1, 0, -1):
            units[index - 1] = units[index - 1] & (links[index] & units[index]).any(axis=1)
        features = (links[0] & units[0]).any(axis=1)
        return Pattern(None, (features, *units), links)

    def canonical(bits: Any) -> Any:
        found = pattern(bits)
        ends = zip(found.links, found.units[:-1], found.units[1:], strict=True)
        return jnp.concatenate([(link & rows[:, None] & columns).reshape(-1) for link, rows, columns in ends])

    return _space(f"connections of {head.name}", head, groups, pattern, canonical, mutation, multiple, start)


def _space(
    name: str,
    head: Head,
    groups: tuple[int, ...],
    pattern: Callable[[Any], Pattern],
    canonical: Callable[[Any], Any],
    mutation: float | None,
    multiple: int,
    start: PyTree,
) -> Space:
    bits, inner = sum(groups), head.widths[:-1]
    mutation = _check_settings(name, mutation, bits, multiple)
    begun = jax.jit(head.init)(jax.random.key(0, impl="threefry2x32"))[0]
    params = begun if start is None else _check_start(name, start, begun)

    @briefly()
    def init(key: jax.Array, genome: jax.Array) -> Member:
        drawn = head.init(key)[0] if start is None else params
        return Member(genome, cleared(drawn, pattern(genome)), (), None)

    def forward(member: Member, inputs: Any, key: Any, train: bool) -> tuple[Any, Any]:
        del key, train
        # A compacted member brings its pattern: its bits would no longer say which units it has.
        own = member.genome if isinstance(member.genome, Pattern) else pattern(member.genome)
        return run(member.params, own, inputs), member.state

    def chosen(genome: Any, rounded: int) -> tuple[Pattern, tuple[np.ndarray, ...]]:
        active = jax.tree.map(np.asarray, pattern(np.asarray(genome)))
        return active, places(active, inner, rounded)

    def compact(member: Member) -> Member:
        active, at = chosen(member.genome, TRAINED_MULTIPLE)
        return member._replace(genome=cut_pattern(active, at, inner), params=cut(member.params, at))

    def expand(small: Member, member: Member) -> Member:
        _, at = chosen(member.genome, TRAINED_MULTIPLE)
        return small._replace(genome=member.genome, params=paste(small.params, at, member.params))

    def decode(variables: PyTree, genome: Any) -> Network:
        active, at = chosen(genome, multiple)
        sizes = [len(place) for place in at]
        if sizes == list(inner) and all(mask is None or mask.all() for mask in active.links):
            raise ValueError(
                f"decode: genome leaves out nothing of {head.name!r} {list(inner)} where units are rounded up to a "
                f"multiple of {multiple}; take the head itself, or a genome that is sparser"
            )
        smaller = cut(jax.tree.map(np.asarray, cleared(variables["params"], active)), at)
        columns = cut_pattern(active, at, inner).columns

        def apply(params: PyTree, inputs: Any) -> Any:
            return head.apply(params, (), inputs if columns is None else inputs[..., columns], None, False)[0]

        return Network(apply, smaller, head.inputs, f"{head.name} {sizes}", head.output, head.classes)

    return Space(
        name=name,
        params={"params": params, "state": ()},
        inputs=head.inputs,
        sample=functools.partial(sample_bits, groups),
        vary=functools.partial(vary_bits, groups, mutation),
        apply=lambda variables, genome, inputs: run(variables["params"], pattern(genome), inputs),
        decode=decode,
        cost=lambda genome: _cost(head, pattern(genome), multiple),
        canonical=canonical,
        output=head.output,
        classes=head.classes,
        init=init,
        learning=Learning(forward, compact, expand),
        settings={"multiple": multiple, "mutation": mutation},
    )


def _cost(head: Head, pattern: Pattern, multiple: int) -> Cost:
    inner = zip(pattern.units, head.widths[:-1], strict=True)
    sizes = [width if units is None else room(units.sum(), width, multiple) for units, width in inner]
    pairs = list(itertools.pairwise([*sizes, head.widths[-1]]))
    products = sum(rows * columns for rows, columns in pairs)
    return Cost(products, products + sum(columns for _, columns in pairs))


def _split(bits: Any, groups: tuple[int, ...]) -> list[Any]:
    return (jnp if isinstance(bits, jax.Array) else np).split(bits, np.cumsum(groups)[:-1])


def _check_head(where: str, head: Any) -> None:
    if not isinstance(head, Head):
        raise TypeError(f"{where}: head is a {type(head).__name__}, expected a Head; make one with pruning.head")


def _check_settings(where: str, mutation: Any, bits: int, multiple: Any) -> float:
    mutation = 1 / bits if mutation is None else mutation
    if isinstance(mutation, bool) or not isinstance(mutation, int | float) or not 0 <= mutation <= 1:
        raise ValueError(f"{where}: mutation is {mutation!r}, expected a probability in [0, 1]")
    check_size(where, "multiple", multiple)
    return float(mutation)


def _check_start(where: str, start: PyTree, like: PyTree) -> PyTree:
    came, wanted = (jax.tree.map(lambda leaf: list(np.shape(leaf)), tree) for tree in (start, like))
    if came != wanted:
        raise ValueError(f"{where}: start has arrays {came}, expected {wanted}, parameters of this head")
    return jax.tree.map(jnp.asarray, start)
