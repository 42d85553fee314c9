"""What a transfer copies from where, what it does not, and why."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxevo.checks import check_flag
from jaxevo.transfer.alignment import Alignment
from jaxevo.transfer.weights.inertia import check_inertia, growth
from jaxevo.transfer.weights.planning import GUARD, Step, check_alignments, check_guard, plan


class Entry(NamedTuple):
    """What becomes of one parameter of the target.

    target: its path.
    shape: its shape.
    source: path of what is copied into it, None where nothing is.
    source_shape: shape of that, None likewise.
    how: "equal", "cropped", "padded", "cropped and padded", "interpolated"; "zero" or "identity" where it is set so
      that features come through a layer that nothing is copied into; or "kept".
    reason: of what is copied, from which network; of all others, why it is not.
    factor: by how much what is copied grows, for inertia; 1 of all others.
    """

    target: str
    shape: tuple[int, ...]
    source: str | None
    source_shape: tuple[int, ...] | None
    how: str
    reason: str
    factor: float = 1.0


class Report(NamedTuple):
    """What becomes of the parameters of the target; `print` shows it as a table.

    entries: one for each, in the order of the parameters.
    warnings: what the guard says.
    """

    entries: tuple[Entry, ...]
    warnings: tuple[str, ...]

    def __str__(self):
        rows = [("parameter", "shape", "from", "shape", "how")]
        for entry in self.entries:
            source, shape = ("-", "-") if entry.source is None else (entry.source, str(list(entry.source_shape or ())))
            how = f"{entry.how}: {entry.reason}" if entry.source is None else entry.how
            how += f", {entry.factor:g} times as large" if entry.factor != 1 else ""
            rows.append((entry.target, str(list(entry.shape)), source, shape, how))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = ["  ".join((*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[4])) for row in rows]
        return "\n".join([*self.warnings, *lines])


def report(
    alignment: Alignment | Sequence[Alignment], *, guard: float = GUARD, bridge: bool = True, inertia: float = 1.0
) -> Report:
    """Says what `copy_weights` does along alignments, without copying.

    Args:
      alignment, guard, bridge, inertia: as in `copy_weights`, which is given statistics of normalisations too.

    Returns:
      The report, on all parameters of the target, statistics of normalisations included.

    Raises:
      TypeError, ValueError: as `copy_weights`.
    """
    alignments = check_alignments("report", alignment)
    check_guard("report", guard)
    check_flag("report", "bridge", bridge)
    check_inertia("report", inertia)
    chosen, graph = plan(alignments, guard, bridge), alignments[0].target.graph
    steps = {step.target: step for step in chosen.steps}
    growing = growth(alignments[0].target, steps.keys(), inertia)

    def entry(leaf: int, path: str) -> Entry:
        shape = graph.program.avals[leaf].shape
        if leaf in steps:
            return _copied(alignments, steps[leaf], path, shape, growing.get(leaf, 1.0))
        how = chosen.bridges[leaf].how if leaf in chosen.bridges else "kept"
        return Entry(path, shape, None, None, how, chosen.kept[leaf])

    entries = [entry(leaf, path) for leaf, path in enumerate(graph.paths)]
    return Report(tuple(entries), chosen.warnings)


def _copied(alignments: Sequence[Alignment], step: Step, path: str, shape: tuple[int, ...], factor: float) -> Entry:
    graph = alignments[step.alignment].source.graph
    came = graph.program.avals[step.source].shape
    return Entry(path, shape, graph.paths[step.source], came, _how(step, came, shape), f"of {graph.name!r}", factor)


def _how(step: Step, came: tuple[int, ...], shape: tuple[int, ...]) -> str:
    if step.companions is None:
        one, other = step.pair.source.kernel, step.pair.target.kernel
        sizes = (*zip(one.shape, other.shape, strict=True), (one.groups, other.groups))
    else:
        one, other = step.companions
        if other.kind == "positions" and one.grid != other.grid:
            return "interpolated"
        sizes = (*zip(came, shape, strict=True),) if len(came) == len(shape) else ((len(came), len(shape)),)
    cropped, padded = any(a > b for a, b in sizes), any(a < b for a, b in sizes)
    return {
        (False, False): "equal",
        (True, False): "cropped",
        (False, True): "padded",
        (True, True): "cropped and padded",
    }[cropped, padded]
