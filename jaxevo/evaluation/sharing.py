"""Scores many networks that share most of what they compute: each distinct piece of work runs once.

A space that says how its networks divide into segments (`Space.work`) is evaluated segment by segment, called from the
host. Each segment is compiled once. For every batch of examples, each distinct pair of a segment and its chain of
choices upstream runs once for the whole population, depth first, and its feature is freed when its last reader has run.
Segments are small programs, which leave processors idle: a CPU runs several batches beside each other. Networks that
were scored before are recognised and not run again. n is the number of genomes, m that of metrics.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxevo import hosts
from jaxevo.checks import check_size
from jaxevo.devices import check_mesh
from jaxevo.evaluation.examples import Examples, check_split, check_task, identity_of, stack
from jaxevo.evaluation.memory import at_once, check_memory, tree_bytes
from jaxevo.evaluation.metrics import Metric, check_metrics, tally
from jaxevo.evaluation.schedule import Schedule, Unit, peak_bytes, schedule, shapes_of
from jaxevo.graph import accelerated
from jaxevo.network import batched
from jaxevo.space import INPUTS, Space
from jaxevo.threads import in_step

PyTree = Any


class SharedEvaluation:
    """What `shared` returns: `evaluate(key, params, genomes) -> (genomes, fitness)`; a host step.

    It remembers the fitness of every network it has scored with the parameters at hand; `memory` is that archive, which
    a search saves with its state, and `restore` takes it back.
    """

    def __init__(
        self,
        space: Space,
        examples,
        count: int,
        metrics: tuple[Metric, ...],
        mesh: Mesh,
        dtype: str,
        accelerate: bool,
    ):
        assert space.work is not None
        self.space, self.metrics, self.mesh, self.count = space, metrics, mesh, count
        self._work, self._dtype = space.work, jnp.dtype(dtype)
        self._whole = NamedSharding(mesh, P())
        rows = NamedSharding(mesh, P(("pop", "data")))
        inputs = self._narrow(examples.inputs)
        self._batches = [
            jax.device_put(jax.tree.map(lambda leaf, k=k: leaf[k], (inputs, examples.labels, examples.mask)), rows)
            for k in range(len(examples.mask))
        ]
        quick = functools.partial(accelerated, platform=mesh.devices.flat[0].platform)
        applies = [quick(segment.apply) if accelerate else segment.apply for segment in space.work.segments]
        self._segments = [jax.jit(apply) for apply in applies]
        self._makers = [None if s.make is None else self._making(s.make) for s in space.work.segments]
        self._tally = tally(space, metrics)
        self._start = jax.jit(self._tally.init, out_shardings=self._whole)
        self._update = jax.jit(self._tally.update)
        self._finish = jax.jit(self._tally.finish)
        self._archive: dict[bytes, tuple[PyTree, np.ndarray]] = {}
        self._scored_with: list | None = None
        self._evaluations = self._runs = 0

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the columns of the fitness."""
        return tuple(metric.name for metric in self.metrics)

    @property
    def identity(self) -> dict[str, str]:
        """What else makes it this evaluation, by which a checkpoint knows it: a digest of its examples."""
        return identity_of(Examples(*jax.tree.map(lambda *leaves: np.stack(leaves), *hosts.fetch(self._batches))))

    def __call__(self, key: jax.Array | None, params: PyTree, genomes: PyTree) -> tuple[PyTree, np.ndarray]:
        """Scores genomes.

        Args:
          key: not used, as nothing here is random; every evaluation takes one.
          params: the space's parameters, or others of the same shapes; the archive holds for one set of them.
          genomes: stacked genomes, pytree of arrays [n, ...].

        Returns:
          The genomes as they came, and their fitness, float32 [n, m], larger is better; NaN for a network with an
          output that is not finite.

        Raises:
          ValueError: where there are no genomes, they or the parameters do not fit the space, or memory would not do.
        """
        del key
        _check_like("params", params, self.space.params)
        self._forget_unless_scored_with(params)
        rows = _rows(self._check(genomes))
        names = [_name(row) for row in rows]
        fresh = {name: row for name, row in zip(names, rows, strict=True) if name not in self._archive}
        if fresh:
            scores = self._score(params, list(fresh.values()))
            self._archive.update({n: (g, s) for (n, g), s in zip(fresh.items(), scores, strict=True)})
        self._evaluations += len(names)
        return genomes, np.stack([self._archive[name][1] for name in names])

    def memory_bytes(self, genomes: PyTree) -> int:
        """Returns the memory in bytes that scoring these genomes is expected to need, before anything is compiled.

        The examples, the parameters and the most features that are alive at once on one batch; several batches run
        beside each other only where there is room for them. What a segment needs inside is not counted.

        Args:
          genomes: stacked genomes, pytree of arrays [n, ...].
        """
        plans = [self._work.plan(genome) for genome in _rows(self._check(genomes))]
        fixed = tree_bytes(self._batches) + tree_bytes(jax.eval_shape(self._narrow, self.space.params))
        return fixed + self._features(self.space.params, schedule(plans))

    def report(self) -> dict[str, int]:
        """Returns the numbers of its work so far: genomes scored, distinct networks, segments run, examples."""
        return {
            "evaluations": self._evaluations,
            "distinct_evaluations": len(self._archive),
            "segment_runs": self._runs,
            "examples": self.count,
        }

    @property
    def memory(self) -> PyTree:
        """Every distinct network scored so far and its fitness, as arrays that a checkpoint can hold."""
        found = self._nothing() | {"counts": np.array([self._evaluations, self._runs], np.int64)}
        if self._archive:
            genomes, scores = zip(*self._archive.values(), strict=True)
            found |= {"genomes": jax.tree.map(lambda *leaves: np.stack(leaves), *genomes), "fitness": np.stack(scores)}
        return found

    def _nothing(self) -> dict[str, PyTree]:
        """Returns the memory of an evaluation that has scored nothing."""
        return {
            "genomes": jax.tree.map(lambda leaf: np.zeros((0, *leaf.shape), leaf.dtype), self.space.genome),
            "fitness": np.zeros((0, len(self.metrics)), np.float32),
            "counts": np.zeros(2, np.int64),
        }

    def restore(self, memory: PyTree) -> None:
        """Takes back what `memory` gave, in this or another process, for the same parameters.

        Raises:
          ValueError: where it is no memory of an evaluation of this space by as many metrics.
        """
        own = self._nothing()
        if not isinstance(memory, dict) or memory.keys() != own.keys():
            raise ValueError(
                f"shared: memory given to restore is {memory!r}, expected what `memory` of an evaluation gave"
            )
        for name, part in own.items():
            _check_like(f"memory[{name!r}] given to restore", memory[name], part, rows=name != "counts")
        genomes, scores = _rows(jax.tree.map(np.asarray, memory["genomes"])), np.asarray(memory["fitness"])
        self._archive = {_name(genome): (genome, row) for genome, row in zip(genomes, scores, strict=True)}
        self._evaluations, self._runs = (int(n) for n in memory["counts"])
        self._scored_with = None

    def _score(self, params: PyTree, genomes: list) -> list[np.ndarray]:
        plan = schedule([self._work.plan(genome) for genome in genomes])
        features = self._features(params, plan) // self.mesh.size
        check_memory(
            "shared",
            features,
            list(self.mesh.devices.flat),
            "lower batch, or score fewer genomes at a time",
        )
        params = jax.device_put(params, self._whole)
        narrow = self._narrow(params)
        leaves = {s: self._work.segments[s].select(narrow) for s in {unit.segment for unit in plan.units}}
        states = {unit: self._start() for unit in set(plan.outputs)}
        run = functools.partial(self._run, plan, params, leaves, states)
        in_step(run, len(self._batches), len(plan.units), at_once(self.mesh, features))
        self._runs += len(self._batches) * len(plan.units)
        return jax.device_get(
            [self._finish(states[unit], genome) for unit, genome in zip(plan.outputs, genomes, strict=True)]
        )

    def _making(self, make):
        return lambda params, variant: self._narrow(make(params, variant))

    def _run(self, plan: Schedule, params, leaves, states, batch: int, steps: Iterator[int]) -> None:
        """Runs a schedule on one batch and adds the outputs up in `states`."""
        inputs, labels, mask = self._batches[batch]
        features, added = {INPUTS: inputs}, []
        for index in steps:
            unit = plan.units[index]
            read = [features[i] for i in unit.reads]
            own, variant, make = leaves[unit.segment], unit.variant, self._makers[unit.segment]
            if make is not None and variant:
                own, variant = make(params, variant), ()
            features[index] = self._segments[unit.segment](own, variant, *read)
            if index in states:
                states[index] = self._update(states[index], features[index], labels, mask)
                added.append(states[index])
            for gone in plan.frees[index]:
                del features[gone]
        # Calls are enqueued faster than they run; waiting here keeps a batch's features from outliving its turn.
        jax.block_until_ready(added)

    def _features(self, params: PyTree, plan: Schedule) -> int:
        """Returns the bytes of the most features alive at once on one batch."""
        params = jax.eval_shape(self._narrow, params)
        shapes: dict[Any, PyTree] = {}

        def shape(unit: Unit, reads):
            known = (unit.segment, str(reads))
            if known not in shapes:
                segment = self._work.segments[unit.segment]
                own, variant = jax.eval_shape(segment.select, params), unit.variant
                if segment.make is not None and variant:
                    own, variant = jax.eval_shape(self._making(segment.make), self.space.params, variant), ()
                shapes[known] = shapes_of(segment.apply, own, variant, reads)
            return shapes[known]

        described = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), self._batches[0][0])
        return peak_bytes(plan, shape, described)

    def _narrow(self, tree):
        if self._dtype == jnp.float32:
            return tree
        return jax.tree.map(lambda x: x.astype(self._dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)

    def _forget_unless_scored_with(self, params):
        leaves = jax.tree.leaves(params)
        same = self._scored_with is None or (
            len(leaves) == len(self._scored_with)
            and all(a is b for a, b in zip(leaves, self._scored_with, strict=True))
        )
        if not same:
            self._archive = {}
        self._scored_with = leaves

    def _check(self, genomes):
        """Checks stacked genomes and returns their canonical form on the host."""
        _check_like("genomes", genomes, batched(self.space.genome, 1), rows=True)
        rows = {len(leaf) for leaf in jax.tree.leaves(genomes)}
        if len(rows) != 1 or 0 in rows:
            raise ValueError(
                f"shared: genomes hold arrays of {sorted(rows)} rows, expected one number of at least 1; "
                "stack the genomes on a leading axis"
            )
        return self.space.canonicals(genomes)


def shared(
    space: Space,
    split: Any,
    metrics: Sequence[Metric],
    *,
    batch: int = 256,
    mesh: Mesh | None = None,
    dtype: str = "float32",
    accelerate: bool = False,
) -> SharedEvaluation:
    """Builds the evaluation that runs each distinct piece of work of a population once.

    Args:
      space: a space that says how its networks divide into segments.
      split: the examples, `split.inputs` a pytree of arrays [N, ...] and `split.labels` [N, ...]: classes, maps of
        classes or values, as the metrics read them (see `jaxevo.data.arrays`).
      metrics: the m objectives, each larger-is-better.
      batch: examples at a time, the setting for memory; rounded up to a multiple of the number of devices.
      mesh: devices with axes ("pop", "data"), by default all; the examples of a batch are spread over both axes, since
        networks that share work belong on one device.
      dtype: in which networks compute, "float32" or "bfloat16". Scores are float32 either way.
      accelerate: compute convolutions in the way that is fastest on the platform (`graph.accelerated`), for networks
        with depthwise ones on CPUs; features agree to 1e-5 relative.

    Returns:
      The evaluation; the examples lie on the devices.

    Raises:
      TypeError, ValueError: where an argument is not as described, or the networks do not fit split or metrics.
    """
    if not isinstance(space, Space):
        raise TypeError(f"shared: space is {space!r}, expected a jaxevo Space")
    if space.work is None:
        raise ValueError(f"shared: space {space.name!r} does not divide into segments; use evaluation.population")
    metrics = check_metrics("shared", metrics)
    mesh = check_mesh("shared", mesh)
    if dtype not in ("float32", "bfloat16"):
        raise ValueError(f"shared: dtype is {dtype!r}, expected 'float32' or 'bfloat16'")
    check_size("shared", "batch", batch)
    count = check_split("shared", space, split)
    genome = space.genome
    check_task("shared", space, genome, metrics, split.labels)
    if not isinstance(accelerate, bool):
        raise TypeError(f"shared: accelerate is {accelerate!r}, expected True or False")
    examples = stack(split, count, min(batch, count), mesh.size)
    return SharedEvaluation(space, examples, count, metrics, mesh, dtype, accelerate)


def _rows(genomes) -> list[PyTree]:
    """Takes stacked host genomes apart."""
    return [jax.tree.map(lambda leaf, i=i: leaf[i], genomes) for i in range(len(jax.tree.leaves(genomes)[0]))]


def _name(genome) -> bytes:
    """Returns what a canonical genome is known by in the archive."""
    return b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(genome))


def _check_like(what: str, tree: PyTree, like: PyTree, rows: bool = False) -> None:
    """Refuses a tree of another structure, shapes or kinds of dtype than `like`; with `rows`, any length will do."""
    leaves, structure = jax.tree.flatten(tree)
    if structure != jax.tree.structure(like):
        raise ValueError(f"shared: {what} have structure {structure}, expected {jax.tree.structure(like)}")
    for leaf, want in zip(leaves, jax.tree.leaves(like), strict=True):
        came, shape = list(np.shape(leaf)), ["n" if rows and i == 0 else n for i, n in enumerate(np.shape(want))]
        if len(came) != len(shape) or came[rows:] != shape[rows:]:
            raise ValueError(f"shared: {what} hold an array {came}, expected [{', '.join(map(str, shape))}]")
        dtype, expected = jnp.result_type(leaf), jnp.result_type(want)
        if dtype.kind != expected.kind:
            raise ValueError(f"shared: {what} hold {dtype}, expected {expected}")
