"""Which pieces of work a population needs, each once, in which order, and when a feature is no longer read."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from jaxevo.evaluation.memory import tree_bytes
from jaxevo.space import INPUTS, Step

PyTree = Any


class Unit(NamedTuple):
    """A distinct piece of work: a segment, a variant of it, and the units whose features it reads.

    Two networks share it exactly if all their choices upstream of it agree.
    """

    segment: int
    variant: Any
    reads: tuple[int, ...]


class Schedule(NamedTuple):
    """The distinct work of several networks.

    units: in an order in which they run, depth first: what differs late in two networks runs close together.
    outputs: index of the unit that gives each network's outputs.
    frees: for each unit, those whose features nobody reads after it.
    """

    units: tuple[Unit, ...]
    outputs: tuple[int, ...]
    frees: tuple[tuple[int, ...], ...]


def schedule(plans: Sequence[tuple[Step, ...]]) -> Schedule:
    """Merges the plans of several networks.

    Args:
      plans: as `Work.plan` returns them.

    Returns:
      The schedule; a unit for each distinct (segment, variant, chain of choices upstream).
    """
    known: dict[Unit, int] = {}
    chains, outputs = [], []
    for plan in plans:
        places: list[int] = []
        for step in plan:
            reads = tuple(r if r == INPUTS else places[r] for r in step.reads)
            places.append(known.setdefault(Unit(step.segment, step.variant, reads), len(known)))
        chains.append(places)
        outputs.append(places[-1])
    # Networks sorted by the chain of their units lie in the order of a walk over the tree of choices.
    order = list(dict.fromkeys(unit for chain in sorted(chains) for unit in chain))
    place = {INPUTS: INPUTS, **{unit: i for i, unit in enumerate(order)}}
    every = list(known)
    units = tuple(every[u]._replace(reads=tuple(place[r] for r in every[u].reads)) for u in order)
    last = {i: i for i in range(len(units))}
    for index, unit in enumerate(units):
        last.update({read: index for read in unit.reads if read != INPUTS})
    frees: list[list[int]] = [[] for _ in units]
    for unit, reader in last.items():
        frees[reader].append(unit)
    return Schedule(units, tuple(place[u] for u in outputs), tuple(tuple(f) for f in frees))


def peak_bytes(plan: Schedule, shape: Callable[[Unit, list[PyTree]], PyTree], inputs: PyTree) -> int:
    """Returns the most bytes of features that are alive at once while a schedule runs on one batch.

    Args:
      plan: the schedule.
      shape: `(unit, shapes of what it reads) -> shape of its feature`, pytrees of `ShapeDtypeStruct`.
      inputs: shapes of the batch.
    """
    features: dict[int, PyTree] = {INPUTS: inputs}
    alive, most = tree_bytes(inputs), 0
    for index, unit in enumerate(plan.units):
        features[index] = shape(unit, [features[read] for read in unit.reads])
        alive += tree_bytes(features[index])
        most = max(most, alive)
        for gone in plan.frees[index]:
            alive -= tree_bytes(features.pop(gone))
    return most


def shapes_of(apply: Callable[..., PyTree], leaves: PyTree, variant: Any, reads: list[PyTree]) -> PyTree:
    """Returns the shape of what a segment makes of features of given shapes, without running it."""
    return jax.eval_shape(apply, leaves, variant, *reads)
