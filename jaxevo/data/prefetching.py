"""Batches on the devices, the next one on its way while one is worked on.

B is the size of a batch over all processes, L the number of its rows that this process feeds.
"""

import collections
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxevo.checks import check_size
from jaxevo.data.batching import Batch
from jaxevo.data.recipes import Recipe


def rows_of_process(mesh: Mesh, batch: int) -> np.ndarray:
    """Returns which rows of a batch lie on the devices of this process, int [L], ascending.

    Args:
      mesh: devices with an axis "data", over which the rows of a batch lie.
      batch: its size B, a multiple of the length of that axis.

    Raises:
      ValueError: where it is none.
    """
    if check_size("rows_of_process", "batch", batch) % mesh.shape["data"]:
        raise ValueError(
            f"rows_of_process: batch is {batch}, expected a multiple of {mesh.shape['data']}, the length of the mesh's "
            "axis 'data'"
        )
    places = _places(NamedSharding(mesh, P("data")), batch).values()
    return np.unique(np.concatenate([np.arange(batch)[place] for place in places]))


def prefetched(
    batches: Iterable[Batch], mesh: Mesh, batch: int, ahead: int = 1, recipe: Recipe | None = None
) -> Iterator[Batch]:
    """Puts batches on the devices, so many ahead of the one that is worked on.

    Args:
      batches: of host arrays [L, ...], the rows of this process.
      mesh: devices with an axis "data", over which the rows of a batch lie.
      batch: size of a batch over all processes B, a multiple of the length of that axis.
      ahead: how many batches more than the one in work lie on the devices; 1 is double buffering. The first batch is
        handed out at once, and the others come while it is in work.
      recipe: of batches of pixels, uint8 [L, size, size, 3]: they are normalised on the devices. None for batches that
        are ready.

    Returns:
      Iterator over the batches as arrays of JAX [B, ...].

    Raises:
      TypeError, ValueError: where recipe is no recipe; while it walks, where a batch holds no pixels for it.
    """
    if recipe is not None and not isinstance(recipe, Recipe):
        raise TypeError(f"prefetched: recipe is a {type(recipe).__name__}, expected a data.Recipe or None")
    rows, sharding = rows_of_process(mesh, batch), NamedSharding(mesh, P("data"))
    places = [
        (device, *np.searchsorted(rows, (place.start or 0, batch if place.stop is None else place.stop)))
        for device, (place,) in _places(sharding, batch).items()
    ]

    def put(leaf):
        # One explicit transfer for each device, as a transfer guard wants it.
        parts = [jax.device_put(leaf[first:last], device) for device, first, last in places]
        return jax.make_array_from_single_device_arrays((batch, *leaf.shape[1:]), sharding, parts)

    normalise = None if recipe is None else _normaliser(recipe, sharding, batch)

    def walk():
        waiting: collections.deque[Batch] = collections.deque()
        for index, one in enumerate(batches):
            if recipe is not None:
                _check_pixels(recipe, one.inputs)
            ready = Batch(*map(put, one))  # pyright: ignore[reportArgumentType]
            waiting.append(ready if normalise is None else ready._replace(inputs=normalise(ready.inputs)))
            if index == 0 or len(waiting) > ahead:
                yield waiting.popleft()
        yield from waiting

    return walk()


def _normaliser(recipe: Recipe, sharding: NamedSharding, batch: int) -> Callable[[Any], Any]:
    """Compiles the normalising of a batch, before the first one comes."""
    pixels = jax.ShapeDtypeStruct((batch, recipe.size, recipe.size, 3), np.uint8, sharding=sharding)
    return jax.jit(recipe.normalise, out_shardings=sharding).lower(pixels).compile()


def _check_pixels(recipe: Recipe, inputs: np.ndarray) -> None:
    wanted = (recipe.size, recipe.size, 3)
    if inputs.dtype != np.uint8 or inputs.shape[1:] != wanted:
        raise ValueError(
            f"prefetched: a batch holds {inputs.dtype} {list(inputs.shape[1:])}, expected pixels of the recipe, uint8 "
            f"{list(wanted)}; leave the recipe out where batches are ready"
        )


def _places(sharding: NamedSharding, batch: int) -> dict[Any, tuple[slice]]:
    """Returns which rows of a batch lie on each device of this process."""
    return sharding.addressable_devices_indices_map((batch,))  # pyright: ignore[reportReturnType]
