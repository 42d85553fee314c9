"""The family tree of a population: who was replaced by a mixture of whom, and which layers came from where."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Descent(NamedTuple):
    """One member of a run.

    number: of the member.
    born: generation that it was scored in first, from 1.
    died: generation that it was scored in last.
    better, other: numbers of its parents; None where it began anew.
    taken: names of the layers that came from the other parent, or were changed.
    replaced: number of the member whose place it took, or None.
    diverged: whether that one's fitness was not finite.
    scores: its first objective in each generation that it was scored in, None where not finite.
    """

    number: int
    born: int
    died: int
    better: int | None
    other: int | None
    taken: tuple[str, ...]
    replaced: int | None
    diverged: bool
    scores: tuple[float | None, ...]


def lineage(history: Sequence[Mapping[str, Any]]) -> tuple[Descent, ...]:
    """Reads the family tree of a run of `search.replace_worst`.

    Args:
      history: of its `Result`, or as much of it as there is.

    Returns:
      All members in the order of their numbers.

    Raises:
      TypeError: where it is no history.
      ValueError: where the history is of another strategy.
    """
    if not isinstance(history, Sequence) or not all(isinstance(entry, Mapping) for entry in history):
        raise TypeError(f"lineage: history is {history!r}, expected that of a result of search.replace_worst")
    found: dict[int, Descent] = {}
    for entry in history:
        missing = {"numbers", "scores", "births"} - set(entry)
        if missing:
            raise ValueError(
                f"lineage: history has entries without {sorted(missing)}, expected that of a search.replace_worst"
            )
        generation = entry["generation"]
        births = {birth["number"]: birth for birth in entry["births"]}
        for number, score in zip(entry["numbers"], entry["scores"], strict=True):
            if number in found:
                known = found[number]
                found[number] = known._replace(died=generation, scores=(*known.scores, score))
                continue
            birth = births.get(number, {"better": -1, "other": -1, "taken": [], "replaced": -1, "diverged": False})
            better, other, replaced = (None if birth[at] < 0 else birth[at] for at in ("better", "other", "replaced"))
            found[number] = Descent(
                number, generation, generation, better, other, tuple(birth["taken"]), replaced, birth["diverged"],
                (score,),
            )  # fmt: skip
    return tuple(found[number] for number in sorted(found))


def origins(descents: Sequence[Descent], number: int, units: Sequence[str]) -> dict[str, int]:
    """Returns from which of the members that began anew each layer of a member came.

    Args:
      descents: from `lineage`.
      number: of the member.
      units: names of the layers.

    Returns:
      By name of the layer the number of a member without parents.

    Raises:
      TypeError, ValueError: where an argument is not as above.
    """
    if not isinstance(descents, Sequence) or not all(isinstance(one, Descent) for one in descents):
        raise TypeError(f"origins: descents is {descents!r}, expected what pbt.lineage returns")
    if not isinstance(units, Sequence) or isinstance(units, str | bytes):
        raise TypeError(f"origins: units is {units!r}, expected the names of layers")
    known = {descent.number: descent for descent in descents}
    if number not in known:
        raise ValueError(f"origins: number is {number!r}, expected that of one of the members, {sorted(known)}")

    def origin(member: int, unit: str) -> int:
        descent = known[member]
        if descent.better is None:
            return member
        source = descent.other if unit in descent.taken and descent.other is not None else descent.better
        return origin(source, unit)

    return {unit: origin(number, unit) for unit in units}
