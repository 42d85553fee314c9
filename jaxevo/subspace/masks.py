"""Masks: which coordinates a sparse mutation touches, and the noise inside.

A mask is never stored. The slots of a mask are its coordinates in the order in which noise is drawn for them, computed
from a key; slot t draws the same number whatever is computed beside it.

N is the number of coordinates, U that of units, K that of subspaces, R the number of units and M that of slots of a
mask.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.subspace.choosing import Chosen
from jaxevo.subspace.shuffling import shuffle
from jaxevo.subspace.units import Granularity, Units

PyTree = Any

#: What a noise key is folded with for masks that are redrawn with each noise; subspaces are numbered far below it.
_REDRAWN = 2**32 - 1


class Base(NamedTuple):
    """What all mutations of a network share, the `params` of its spaces.

    params: the parameters of the network that is mutated.
    flat: those that are mutated once more, as one vector [N]: joining them for each child would cost more than drawing.
    scale: what sigma is multiplied by in each mutated leaf, float32 [L]; () where sigma is absolute.
    units: the units of masks over neurons or layers; () for masks over weights.
    """

    params: PyTree
    flat: jax.Array
    scale: Any
    units: Any


class Slots(NamedTuple):
    """The slots of a mask.

    coordinates: int32 [M], all different; N and more for slots that the mask leaves empty.
    ranks: int32 [M], which of the mask's units each lies in, in [0, R).
    units: int32 [R], its units; U for those that it leaves empty. Of masks over weights, () like the ranks.
    """

    coordinates: jax.Array
    ranks: Any
    units: Any


@dataclasses.dataclass(frozen=True, eq=False)
class Masks:
    """A family of masks over the mutated parameters of a network; settings are static.

    chosen: the mutated parameters.
    granularity: what a mask takes or leaves as a whole.
    subspaces: the number K of parts of a partition; None for masks at a density, as many as there are int32 numbers.
    dynamic: whether each noise key has masks of its own.
    key: key data of the masks where they are static, uint32 [2].
    units: R, units per mask.
    slots: M, slots per mask.
    classes: int32 [U], which units a mask may exchange for each other; () for masks over weights.
    """

    chosen: Chosen
    granularity: Granularity
    subspaces: int | None
    dynamic: bool
    key: Any
    units: int
    slots: int
    classes: Any

    @property
    def settings(self) -> dict[str, Any]:
        """What makes it this family, as JSON can hold it."""
        return {
            "subspaces": self.subspaces, "granularity": self.granularity, "dynamic": self.dynamic,
            "slots": self.slots, "key": np.asarray(self.key).tolist(), "mutated": [int(i) for i in self.chosen.leaves],
        }  # fmt: skip

    def of(self, base: Base, noise: jax.Array, subspace: jax.Array) -> Slots:
        """Computes one mask.

        Args:
          base: the space's parameters.
          noise: a noise key; what the masks of a static family are does not depend on it.
          subspace: int32, the index of the mask, below K.
        """
        if self.subspaces == 1:
            return Slots(jnp.arange(self.slots, dtype=jnp.int32), (), ())
        source = jax.random.fold_in(noise, _REDRAWN) if self.dynamic else jax.random.wrap_key_data(self.key)
        if self.subspaces is None:
            source = jax.random.fold_in(source, subspace)
        if self.granularity == "weight":
            return Slots(self._weights(source, subspace), (), ())
        return self._grouped(base.units, source, subspace)

    def draw(self, noise: jax.Array, subspace: jax.Array) -> jax.Array:
        """Draws the noise inside one mask, float32 [M], slot by slot."""
        return jax.random.normal(jax.random.fold_in(noise, subspace), (self.slots,), jnp.float32)

    def _positions(self, count: int, subspace: jax.Array, most: int) -> jax.Array:
        """Returns the places in the shuffled order that a mask takes: every K-th of a partition, else the first."""
        places = jnp.arange(count, dtype=jnp.int32)
        return places if self.subspaces is None else jnp.minimum(places, most) * self.subspaces + subspace

    def _weights(self, source: jax.Array, subspace: jax.Array) -> jax.Array:
        count = self.chosen.count
        places = self._positions(self.slots, subspace, count)
        inside = places < count
        shuffled = shuffle(source, jnp.where(inside, places, 0), count)
        return jnp.where(inside, shuffled, count + jnp.arange(self.slots, dtype=jnp.int32))

    def _grouped(self, units: Units, source: jax.Array, subspace: jax.Array) -> Slots:
        count = len(self.classes)
        bits = jax.random.bits(source, (count,), jnp.uint32)
        order = jnp.lexsort((bits, jnp.asarray(self.classes)))
        places = self._positions(self.units, subspace, count)
        taken = jnp.where(places < count, order[jnp.minimum(places, count - 1)], count).astype(jnp.int32)
        sizes = jnp.where(places < count, units.size[jnp.minimum(taken, count - 1)], 0)
        ends = jnp.cumsum(sizes)
        slots = jnp.arange(self.slots, dtype=jnp.int32)
        ranks = jnp.minimum(jnp.searchsorted(ends, slots, side="right"), self.units - 1).astype(jnp.int32)
        within = slots - (ends - sizes)[ranks]
        owner = jnp.minimum(taken[ranks], count - 1)
        inside = slots < ends[-1]
        found = units.coordinates[jnp.where(inside, units.start[owner] + within, 0)]
        return Slots(jnp.where(inside, found, self.chosen.count + slots), ranks, taken)


def masks_of(
    chosen: Chosen,
    granularity: Granularity,
    units: Units | None,
    subspaces: int | None,
    density: float | None,
    dynamic: bool,
    key: np.ndarray,
) -> Masks:
    """Makes a partition into `subspaces` masks, or masks at a density.

    Units are dealt to the masks of a partition in turn, those of one size in shuffled order, so that masks differ by at
    most one unit, and by as many weights as the largest unit has. Layers are dealt shuffled whatever their size.
    """
    count = chosen.count if units is None else len(units.size)
    taken = -(-count // subspaces) if density is None and subspaces is not None else max(1, round(density * count))  # type: ignore
    if units is None:
        return Masks(chosen, granularity, subspaces, dynamic, key, 0, taken, ())
    if granularity == "neuron" and subspaces is not None:
        classes = np.unique(units.size, return_inverse=True)[1]
        slots = max(int(units.size[j::subspaces].sum()) for j in range(subspaces))
    else:
        classes = np.zeros(count, np.int32)
        slots = int(np.sort(units.size)[-taken:].sum())
    return Masks(chosen, granularity, subspaces, dynamic, key, taken, slots, classes.astype(np.int32))
