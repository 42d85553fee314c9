"""Scores a whole population with one compiled program.

Members come in calls of `chunk` for each device on the mesh's axis "pop", examples in batches whose rows lie on the
axis "data". The program is the same for all of them: which members and which batch is an argument. n is the number of
members, m that of metrics, K that of batches, B the batch size.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.core
import numpy as np
from jax.sharding import Mesh

from jaxevo import hosts
from jaxevo.checks import check_size
from jaxevo.devices import check_mesh
from jaxevo.evaluation.examples import Examples, check_split, check_task, identity_of, stack
from jaxevo.evaluation.layout import LAYOUTS, Layout, default_layout
from jaxevo.evaluation.metrics import Metric, check_metrics
from jaxevo.evaluation.program import Program
from jaxevo.space import Space

PyTree = Any

DTYPES = ("float32", "bfloat16")

#: Members per call and device where they run side by side or in a compiled loop and nobody says.
CHUNK = 16


@functools.partial(jax.tree_util.register_dataclass, data_fields=["examples"], meta_fields=["program", "count"])
@dataclasses.dataclass(frozen=True)
class PopulationEvaluation:
    """What `population` returns: `evaluate(key, params, genomes) -> (genomes, fitness)`.

    It is a pytree of its examples, so that a compiled loop around it can take it as an argument and captures none.

    examples: the examples, on the devices.
    program: the compiled program and its settings.
    count: number of examples.
    """

    examples: Examples
    program: Program
    count: int

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the columns of the fitness."""
        return tuple(metric.name for metric in self.program.metrics)

    @property
    def identity(self) -> dict[str, str]:
        """What else makes it this evaluation, by which a checkpoint knows it: a digest of its examples."""
        return identity_of(hosts.fetch(self.examples))

    def __call__(self, key: jax.Array | None, params: PyTree, genomes: PyTree) -> tuple[PyTree, jax.Array]:
        """Scores genomes.

        Args:
          key: not used, as nothing here is random; every evaluation takes one.
          params: the space's parameters, or others of the same shapes.
          genomes: pytree of arrays [n, ...], stacked genomes; may be traced.

        Returns:
          The genomes as they came, and their fitness, float32 [n, m], larger is better; NaN for a network with an
          output that is not finite.

        Raises:
          ValueError: where parameters are not like those of the space, or genomes are not stacked or do not fit it.
        """
        del key
        _check_params(params, self.program.space.params)
        n = self.program.check_genomes(genomes)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((params, genomes, self.examples))):
            return genomes, self.program.traced(params, genomes, self.examples, n)
        self.program.check_memory(n)
        fitness = self.program.called(params, genomes, self.examples, n)
        self.program.evaluations += n
        return genomes, fitness

    def memory_bytes(self, population: int) -> int:
        """Returns the memory in bytes that each device is expected to need for a population of that size.

        Estimated before anything is compiled: parameters, examples, genomes, and the intermediates of one call.
        """
        population = check_size("memory_bytes", "population", population)
        return self.program.resident_bytes(self.examples) + self.program.call_bytes(population)

    def communication_bytes(self, population: int) -> int:
        """Returns the bytes that each device receives from others while a population of that size is scored.

        Read from the compiled programs, which this compiles. Parameters and examples are sent once, when they are first
        used, and are not counted: what a generation sends are scores.
        """
        population = check_size("communication_bytes", "population", population)
        return self.program.communication_bytes(self.examples, population)

    def report(self) -> dict[str, int | str]:
        """Returns its work so far: evaluations (of calls that were not traced), layout, chunk, examples."""
        return {
            "evaluations": self.program.evaluations,
            "layout": self.program.layout,
            "chunk": self.program.chunk,
            "examples": self.count,
        }


def population(
    space: Space,
    split: Any,
    metrics: Sequence[Metric],
    *,
    batch: int = 256,
    chunk: int | None = None,
    layout: str = "auto",
    mesh: Mesh | None = None,
    dtype: str = "float32",
) -> PopulationEvaluation:
    """Builds the evaluation of whole populations by `space.apply` with a traced genome.

    Args:
      space: the space whose genomes are scored.
      split: the examples, `split.inputs` a pytree of arrays [N, ...] and `split.labels` [N, ...]: classes, maps of
        classes or values, as the metrics read them (see `jaxevo.data.arrays`).
      metrics: the m objectives, each larger-is-better.
      batch: examples per call; rounded up to a multiple of the mesh's axis "data", and at most N.
      chunk: members per call and device, the setting for memory; by default 1 for layouts "one" and "apart", else 16.
      layout: how the members of a call lie on a device: "one" (after another, called from the host; a chunk of 1),
        "apart" (the same for spaces with `child`: the parameters of a chunk of members are made in a program of its
        own, then the plain network runs with each), "map" (after another, in a compiled loop), "vmap" (side by side),
        "auto" (see `layout.default_layout`). Where the evaluation itself is traced, the host calls become a compiled
        loop.
      mesh: devices with axes ("pop", "data"), by default all of them on "pop"; see `mesh`.
      dtype: in which networks compute, "float32" or "bfloat16". Scores are float32 either way.

    Returns:
      The evaluation; the examples lie on the devices.

    Raises:
      TypeError, ValueError: where an argument is not as described, or the networks do not fit split or metrics.
    """
    where = "population"
    if not isinstance(space, Space):
        raise TypeError(f"{where}: space is {space!r}, expected a jaxevo Space")
    metrics = check_metrics(where, metrics)
    mesh = check_mesh(where, mesh)
    if dtype not in DTYPES:
        raise ValueError(f"{where}: dtype is {dtype!r}, expected one of {DTYPES}")
    batch = check_size(where, "batch", batch)
    if chunk is not None:
        chunk = check_size(where, "chunk", chunk)
    count = check_split(where, space, split)
    check_task(where, space, space.genome, metrics, split.labels)
    chosen, chunk = _settle(where, layout, chunk, mesh.devices.flat[0].platform, space)
    examples = stack(split, count, min(batch, count), mesh.shape["data"])
    program = Program(space, metrics, mesh, chosen, chunk, dtype, examples, space.genome)
    return PopulationEvaluation(program.place(examples), program, count)


def _settle(where: str, layout: str, chunk: int | None, platform: str, space: Space) -> tuple[Layout, int]:
    """Returns the layout and the chunk that hold where some were left open."""
    if layout not in ("auto", *LAYOUTS):
        raise ValueError(f"{where}: layout is {layout!r}, expected 'auto' or one of {LAYOUTS}")
    if layout == "one" and chunk not in (None, 1):
        raise ValueError(
            f"{where}: chunk is {chunk} with layout 'one', expected 1; choose layout 'map' or 'vmap' for larger chunks"
        )
    if layout == "apart" and space.child is None:
        raise ValueError(
            f"{where}: layout is 'apart', but space {space.name!r} does not make its members' parameters apart from "
            "running them; choose 'one', 'map' or 'vmap'"
        )
    chosen = default_layout(platform, space.child is not None) if layout == "auto" else layout
    if chosen == "one" and chunk not in (None, 1):
        chosen = "map"
    return chosen, chunk or (1 if chosen in ("one", "apart") else CHUNK)  # type: ignore[return-value]


def _check_params(params: PyTree, like: PyTree) -> None:
    came, wanted = ([jax.tree.structure(tree), *map(np.shape, jax.tree.leaves(tree))] for tree in (params, like))
    if came != wanted:
        differ = next((pair for pair in zip(came, wanted, strict=False) if pair[0] != pair[1]), (came, wanted))
        raise ValueError(
            f"population: params differ from those of the space: {differ[0]}, expected {differ[1]}; pass space.params, "
            "or others of the same shapes"
        )
