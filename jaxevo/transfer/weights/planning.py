"""What is copied along alignments from where to where, what is left as it is, and why."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from jaxevo.transfer.alignment import Alignment, Pair
from jaxevo.transfer.layers.companions import Companion
from jaxevo.transfer.layers.structure import Unit
from jaxevo.transfer.weights.bridging import Bridge, bridges

#: Below this coverage of the target, and for layers whose pair is worth less than the square of it, nothing is copied.
#: Of 67 published pairs (arXiv 2212.13970's code) 28 of the 29 that transfer harmed lie below, and 7 of the 38 others.
GUARD = 0.3


class Step(NamedTuple):
    """One tensor that is copied.

    target: number of the target's parameter.
    source: number of the source's parameter.
    alignment: index of the alignment that it follows.
    pair: the two layers.
    companions: the two parameters that go with them; None where it is the kernels that are copied.
    """

    target: int
    source: int
    alignment: int
    pair: Pair
    companions: tuple[Companion, Companion] | None


class Plan(NamedTuple):
    """What is copied and what is not.

    steps: the tensors that are copied.
    bridges: by number of the target's parameter, what is set in layers that nothing is copied into.
    kept: by number of the target's parameter, why nothing is copied into it.
    warnings: what the guard says about the networks as a whole.
    """

    steps: tuple[Step, ...]
    bridges: dict[int, Bridge]
    kept: dict[int, str]
    warnings: tuple[str, ...]


def plan(alignments: Sequence[Alignment], guard: float, bridge: bool) -> Plan:
    """Decides what is copied along alignments with the same target.

    Args:
      alignments: one or more; each block of the target takes from the one that covers it best, the first of equals.
      guard, bridge: see `copy_weights`.

    Returns:
      The plan.
    """
    target = alignments[0].target
    steps: list[Step] = []
    kept = dict.fromkeys(range(target.graph.program.leaves), "no layer of the source corresponds to its layer")
    read = target.graph.program.readers.keys() | set(target.graph.program.outputs)
    kept |= {leaf: "the outputs do not depend on it" for leaf in kept if leaf not in read}
    said = []
    allowed = [index for index, one in enumerate(alignments) if one.coverage >= guard]
    for index, one in enumerate(alignments):
        if index not in allowed:
            said.append(
                f"{one.source.graph.name!r} covers {one.coverage:.2f} of {target.graph.name!r}, less than the guard's "
                f"{guard:g}: its weights would not help, so none are copied"
            )
    if not allowed:
        kept |= {leaf: f"guard: the target is covered by less than {guard:g}" for leaf in kept if leaf in read}
    done: set[int] = set()
    refused: set[int] = set()
    for index, pair in _chosen(alignments, allowed):
        reason = _refused(alignments[index], pair, guard)
        if reason is not None:
            refused.add(pair.target.kernel.leaf)
            kept |= {leaf: reason for leaf in _leaves(pair.target) if leaf not in done}
            continue
        for step in _steps(index, pair, kept):
            if step.target not in done or pair.target.kernel.part[1] > 1:
                steps.append(step)
                done.add(step.target)
    between = bridges(target, done, refused) if bridge and done else {}
    kept = {leaf: reason for leaf, reason in kept.items() if leaf not in done}
    return Plan(tuple(steps), between, kept, tuple(said))


def _chosen(alignments: Sequence[Alignment], allowed: Sequence[int]) -> Iterator[tuple[int, Pair]]:
    """Yields the pairs of layers that are followed, each block of the target from the alignment that covers it best."""
    if not allowed:
        return
    count = len(alignments[0].target.bounds) - 1
    best = [max(allowed, key=lambda index: (alignments[index].block_coverage[block], -index)) for block in range(count)]
    for index in allowed:
        for pair in (*alignments[index].pairs, *alignments[index].beside):
            if best[pair.target.block] == index:
                yield index, pair


def _refused(alignment: Alignment, pair: Pair, guard: float) -> str | None:
    """Returns why nothing is copied between two layers, None where it is."""
    source, target = alignment.source.graph, alignment.target.graph
    if pair.target is alignment.target.main[-1]:
        outputs = [unit.kernel.shape[0] for unit in (pair.source, pair.target)]
        if outputs[0] != outputs[1]:
            return f"the last layer has {outputs[1]} outputs, that of the source {outputs[0]}"
        classes = source.network.classes, target.network.classes
        if None not in classes and classes[0] != classes[1]:
            return "the last layer tells other classes apart than that of the source"
    if pair.score < guard**2:
        return f"guard: its layer corresponds to {pair.source.name!r} by {pair.score:.3f}, less than {guard**2:g}"
    return None


def _leaves(unit: Unit) -> list[int]:
    return [unit.kernel.leaf, *(companion.leaf for companion in unit.companions)]


def _steps(index: int, pair: Pair, kept: dict[int, str]) -> Iterator[Step]:
    yield Step(pair.target.kernel.leaf, pair.source.kernel.leaf, index, pair, None)
    known = {companion.role: companion for companion in pair.source.companions}
    for companion in pair.target.companions:
        other = known.get(companion.role)
        if other is None:
            kept[companion.leaf] = f"{pair.source.name!r} has no {companion.kind} {companion.where} its kernel"
        else:
            yield Step(companion.leaf, other.leaf, index, pair, (other, companion))


def check_alignments(where: str, alignment: Any) -> list[Alignment]:
    """Returns the alignments of an argument.

    Raises:
      TypeError: where it is none.
      ValueError: where there is none, or targets differ.
    """
    found = [alignment] if isinstance(alignment, Alignment) else alignment
    if not isinstance(found, Sequence) or not all(isinstance(one, Alignment) for one in found):
        raise TypeError(f"{where}: alignment is {type(alignment).__name__}, expected what transfer.align returns")
    prints = {one.target.graph.fingerprint for one in found} if len(found) > 1 else {""}
    if not found or len(prints) > 1:
        raise ValueError(
            f"{where}: alignment holds {len(found)} alignments with {len(prints)} targets, expected at least one, all "
            "with the same target"
        )
    return list(found)


def check_guard(where: str, guard: Any) -> None:
    """Raises ValueError unless guard is a number in [0, 1]."""
    if isinstance(guard, bool) or not isinstance(guard, int | float) or not 0 <= guard <= 1:
        raise ValueError(f"{where}: guard is {guard!r}, expected a share in [0, 1]; 0 copies everything")
