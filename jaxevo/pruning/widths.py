"""The space of a network's pruned forms: a genome says of each channel, neuron and head whether it stays.

U is the number of units, G that of groups (`dependencies`).
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from jaxevo.checks import check_weights, nearest
from jaxevo.graph import trace
from jaxevo.network import Network
from jaxevo.pruning.axes.costs import Polynomial, costs
from jaxevo.pruning.axes.dependencies import KINDS, Dependencies, Group, depend
from jaxevo.pruning.bits import sample_bits, vary_bits
from jaxevo.pruning.compaction import compact, run_masked
from jaxevo.space import Cost, Space

PyTree = Any

#: Kinds of unit that are pruned unless others are asked for.
USUAL = ("channel", "neuron", "head")


@dataclasses.dataclass(frozen=True, eq=False)
class Units:
    """The units of a space and its masked networks: `units(params, genome, inputs)` is the space's `apply`.

    found: the network and its groups.
    chosen: indices of the groups whose units have a bit, in the order of the bits.
    multiple: what the widths of compacted networks are rounded up to a multiple of.
    """

    found: Dependencies
    chosen: tuple[int, ...]
    multiple: int

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups that are pruned; their units follow each other in a genome."""
        return tuple(self.found.groups[index] for index in self.chosen)

    @functools.cached_property
    def offsets(self) -> np.ndarray:
        """First unit of each group, and U: int64 [groups + 1]."""
        return np.cumsum([0, *(group.size for group in self.groups)])

    @functools.cached_property
    def owner(self) -> np.ndarray:
        """Index of the group of each unit, int [U]."""
        return np.repeat(np.arange(len(self.chosen)), np.diff(self.offsets))

    @functools.cached_property
    def costs(self) -> tuple[Polynomial, Polynomial]:
        """Multiply-adds and parameters as functions of the numbers of units of all groups."""
        return costs(self.found)

    def __call__(self, params: PyTree, genome: Any, inputs: PyTree) -> PyTree:
        """Runs the network with units masked; of real numbers, multiplied by them."""
        return run_masked(self.found, self.parts(genome), params, inputs)

    def parts(self, genome: Any) -> list[Any]:
        """Divides a genome by groups: for each group of the network its part, None where it is not pruned."""
        parts: list[Any] = [None] * len(self.found.groups)
        for place, index in enumerate(self.chosen):
            parts[index] = genome[self.offsets[place] : self.offsets[place + 1]]
        return parts

    def counts(self, genome: Any) -> Any:
        """Returns how many units of each group of the network a compacted network has, int [G]; traceable."""
        xp = jnp if isinstance(genome, jax.core.Tracer) else np
        full = np.array([group.size for group in self.found.groups])
        if not self.chosen:
            return full
        # Differences of running sums: one reduction for all groups, without a scatter.
        running = xp.concatenate([xp.zeros(1, np.int32), xp.cumsum(genome, dtype=np.int32)])
        kept = running[self.offsets[1:]] - running[self.offsets[:-1]]
        kept = xp.minimum(-(-kept // self.multiple) * self.multiple, np.diff(self.offsets))
        place = {index: p for p, index in enumerate(self.chosen)}
        return xp.stack([kept[place[i]] if i in place else full[i] for i in range(len(full))])

    def cost(self, genome: Any) -> Cost:
        """Returns what the compacted network of a genome costs: exactly on the host; see `Polynomial` where traced."""
        counts = self.counts(genome)
        return Cost(*(polynomial(counts) for polynomial in self.costs))


def channels(
    network: Network,
    *,
    kinds: Sequence[str] = USUAL,
    prune: Callable[[Group], bool] | None = None,
    multiple: int = 1,
    mutation: float | None = None,
) -> Space:
    """Makes the space of a network's pruned forms.

    Units are found by `dependencies`: a channel goes from all layers that share it. What depends on how many channels
    there are is never pruned: inputs, outputs, and what layer normalisations and other means over channels read.

    `apply` masks, with a traced genome: every convolution and product skips the units that are cut. `decode` compacts:
    arrays are really smaller and outputs the same to rounding. It raises where a pruning changes nothing. To train a
    pruned network on, `jaxevo.as_trainable(child)` and `training.fit`; `evaluation.recalibrate(child, data)` renews its
    normalisations' statistics.

    Args:
      network: any network.
      kinds: which kinds of unit are pruned: a "channel" of a convolution, a "neuron" of a dense layer, a "head" of an
        attention, a "dimension" of all heads of one.
      prune: says of a `Group` whether its units are pruned; by default all of those kinds.
      multiple: widths of compacted networks are rounded up to a multiple of it, with units that contribute nothing;
        hardware likes 8 or 16. `cost` counts them.
      mutation: probability that an offspring's bit is flipped, in [0, 1]; by default 1 / U.

    Returns:
      The space. A genome is bool [U], group after group; sampled ones have a density from U(0, 1) each (arXiv
      2302.10253), and all keep at least one unit of every group.

    Raises:
      TypeError, ValueError: where an argument is not as described, or there is nothing to prune.
    """
    _check(network, kinds, prune, multiple, mutation)
    found = depend(trace(network))
    wanted = [g.kind in kinds and (prune is None or bool(prune(g))) for g in found.groups]
    chosen = tuple(index for index, take in enumerate(wanted) if take)
    if not chosen:
        there = ", ".join(f"{g.name!r} ({g.size} {g.kind}s)" for g in found.groups) or "none"
        raise ValueError(
            f"channels: kinds {tuple(kinds)} and prune leave no group of {network.name!r} to be pruned; "
            f"there are {there}"
        )
    units = Units(found, chosen, multiple)
    rate = 1 / len(units.owner) if mutation is None else float(mutation)
    return Space(
        name=f"pruned forms of {network.name}",
        params=jax.tree.map(jnp.asarray, network.params),
        inputs=network.inputs,
        sample=functools.partial(sample_bits, [group.size for group in units.groups]),
        vary=functools.partial(_vary, units, rate),
        apply=units,
        decode=functools.partial(_decode, units),
        cost=units.cost,
        output=network.output,
        classes=network.classes,
        settings={"groups": list(chosen), "multiple": multiple, "mutation": rate},
    )


def groups(network: Network) -> tuple[Group, ...]:
    """Returns the groups of units of a network that can be cut, whether or not `channels` does by default.

    Args:
      network: any network.

    Raises:
      TypeError, ValueError: where it is no `Network` or cannot be traced.
    """
    return depend(trace(network)).groups


def units_of(where: str, space: Any) -> Units:
    """Returns the units of a space that `channels` made.

    Raises:
      TypeError: where it is none.
    """
    if not isinstance(space, Space) or not isinstance(space.apply, Units):
        raise TypeError(f"{where}: space is {space!r}, expected a Space that pruning.channels made")
    return space.apply


def _vary(units: Units, rate: float, key: jax.Array, a: Any, b: Any) -> jax.Array:
    shapes = [np.shape(genomes) for genomes in (a, b)]
    if shapes[0] != shapes[1] or len(shapes[0]) != 2 or shapes[0][1] != len(units.owner):
        raise ValueError(
            f"vary: a and b have shapes {list(shapes[0])} and {list(shapes[1])}, expected two stacks "
            f"[n, {len(units.owner)}] of one size"
        )
    return vary_bits([group.size for group in units.groups], rate, key, a, b)


def _decode(units: Units, params: PyTree, genome: Any) -> Network:
    bits = check_genome("decode", units, genome)
    network = units.found.graph.network
    kept = units.counts(bits)
    if (kept == [group.size for group in units.found.groups]).all():
        why = "cuts none of them" if bits.all() else f"keeps all widths, rounded up to multiples of {units.multiple}"
        raise ValueError(
            f"decode: genome of {units.offsets[-1]} units of {network.name!r} {why}, so that the network would stay as "
            "it is; cut more, or keep the network itself"
        )
    child = compact(units.found, units.parts(bits), units.multiple, params)
    return dataclasses.replace(child, name=f"{network.name}[{bits.sum()}/{len(bits)} units]")


def check_genome(where: str, units: Units, genome: Any) -> np.ndarray:
    """Returns a genome as bool [U] on the host.

    Raises:
      ValueError: where it is no such array, or leaves a group without units.
    """
    if np.shape(genome) != (len(units.owner),) or np.asarray(genome).dtype != bool:
        raise ValueError(
            f"{where}: genome has shape {list(np.shape(genome))}, expected bool [{len(units.owner)}], a bit for each "
            "unit; index the population first"
        )
    bits = np.asarray(genome)
    for place, group in enumerate(units.groups):
        if not bits[units.offsets[place] : units.offsets[place + 1]].any():
            raise ValueError(
                f"{where}: genome cuts all {group.size} {group.kind}s of {group.name!r}, expected at least one of each "
                "group to be kept"
            )
    return bits


def _check(network: Any, kinds: Any, prune: Any, multiple: Any, mutation: Any) -> None:
    if not isinstance(network, Network):
        raise TypeError(f"channels: network is a {type(network).__name__}, expected a jaxevo.Network")
    check_weights("channels", "network", network.params)
    if not isinstance(kinds, tuple | list | set) or not kinds or not set(kinds) <= set(KINDS):
        strange = [kind for kind in kinds if kind not in KINDS] if isinstance(kinds, tuple | list | set) else []
        meant = nearest(strange[0], KINDS) if strange else ""
        raise ValueError(f"channels: kinds is {kinds!r}; {meant}expected some of {KINDS}, such as {USUAL}")
    if prune is not None and not callable(prune):
        raise TypeError(f"channels: prune is {prune!r}, expected a function of a Group, or None")
    if isinstance(multiple, bool) or not isinstance(multiple, int) or multiple < 1:
        raise ValueError(f"channels: multiple is {multiple!r}, expected a whole number of at least 1, such as 8")
    number = isinstance(mutation, int | float) and not isinstance(mutation, bool)
    if mutation is not None and not (number and 0 <= mutation <= 1):
        raise ValueError(f"channels: mutation is {mutation!r}, expected a probability in [0, 1], or None for 1 / units")
