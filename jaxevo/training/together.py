"""Training a population together: no compilation per member, each with its own course.

n is the number of members.
"""

import concurrent.futures
import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxevo import checkpoint, hosts
from jaxevo.checkpoint.functions import known_as
from jaxevo.checks import check_flag, check_size
from jaxevo.data import Batch, Split, check_batch
from jaxevo.devices import check_mesh
from jaxevo.network import Member, PyTree, Trainable, check_inputs, check_key
from jaxevo.space import Learning, Space
from jaxevo.threads import are_alike, processors
from jaxevo.training import compiling
from jaxevo.training.compaction import alike, compacted, expanded
from jaxevo.training.courses import Ended, Limits, Recipe, abreast, alone
from jaxevo.training.fitting import check_augment, run_epochs, stepping
from jaxevo.training.learning import Descent, Learner

#: How members lie: "abreast", side by side in one program; "scan", one after another, the whole course of each in one
#: program; "steps", one after another, every step called from the host.
MembersLayout = Literal["abreast", "scan", "steps"]
LAYOUTS = ("abreast", "scan", "steps")

#: Members side by side where nobody says.
CHUNK = 32


class Fitted(NamedTuple):
    """What training a population gives.

    members: stacked [n, ...], each the best by score, or the last where members are not scored.
    epochs: int [n], how many each ran.
    scores: float [n], of the best; NaN where members are not scored.
    metrics: by name float [n], means over the last epoch of each.
    """

    members: Member
    epochs: np.ndarray
    scores: np.ndarray
    metrics: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class PopulationFit:
    """What `population` returns: `fit(key, members) -> Fitted`.

    space: whose members it trains, or the `Trainable`.
    learner: how members learn.
    train, valid: the examples on the device; valid is None where members are not scored.
    split: the training examples on the host.
    augment, epochs, batch, patience, layout, compact, brief, chunk, threads, mesh: as in `population`.
    """

    space: Space | Trainable
    learner: Learner
    train: Batch
    valid: Batch | None
    split: Split
    augment: Any
    epochs: int
    batch: int
    patience: int | None
    layout: MembersLayout
    compact: bool
    brief: bool
    chunk: int
    threads: int
    mesh: Mesh
    _work: compiling.Work = dataclasses.field(default_factory=compiling.Work)

    def report(self) -> dict[str, float]:
        """Returns what training took so far.

        "programs", how many members differed in program; "compile_seconds" for them, of threads added up, where a
        program that lies in JAX's persistent cache takes the time that reading it takes; and "training_seconds", by the
        clock, all of this included.
        """
        return {
            "programs": len(self._work.looks),
            "compile_seconds": self._work.compiled,
            "training_seconds": self._work.trained,
        }

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this training, as JSON can hold it; the learner is known by its caller alone."""
        examples = jax.device_get((self.train, self.valid))
        return {
            "epochs": self.epochs, "batch": self.batch, "patience": self.patience, "layout": self.layout,
            "compact": self.compact, "brief": self.brief,
            "augment": None if self.augment is None else known_as(self.augment),
            "examples": checkpoint.digest(examples),
        }  # fmt: skip

    def __call__(self, key: jax.Array, members: Member) -> Fitted:
        """Trains members.

        Args:
          key: a key, of which member i uses `fold_in(key, i)`; or n keys, one for each member, so that several runs
            can be trained beside each other as each would be alone.
          members: stacked [n, ...]. A member without optimiser state begins with a fresh one and comes back without;
            one that has a state goes on from it and brings it back.

        Returns:
          The members as they are after training, on the host.

        Raises:
          TypeError, ValueError: where members are not stacked or keys are not as above.
        """
        count = _count(members)
        keys = _keys(key, count)
        rows = [jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), members) for i in range(count)]
        learning = self.space.learning if self.compact and isinstance(self.space, Space) else None
        small = rows if learning is None else [compacted(learning, row) for row in rows]
        groups, compiled, started = alike(small), compiling.seconds(), time.monotonic()
        abreast = self.layout == "abreast"
        own = list(range(count)) if abreast else hosts.own(count)

        def whole(index: int, one: Ended) -> Ended:
            return one if learning is None else one._replace(member=expanded(learning, one.member, rows[index]))

        if abreast:
            ended = [whole(index, one) for index, one in enumerate(self._abreast(small, keys, groups))]
        else:
            # Put back on the thread that trained it, while others train.
            ended = self._in_turn(small, keys, groups, own, whole)
        self._work.note(groups, compiling.seconds() - compiled, time.monotonic() - started)
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *ended) if abreast else hosts.exchange(ended, count)
        return Fitted(stacked.member, stacked.epochs, stacked.score, stacked.metrics)

    def memory_bytes(self, members: Member) -> int:
        """Returns the memory in bytes that training these members is expected to need on the device.

        The examples; and for each member that is trained at once parameters, gradient, state of the optimiser and the
        best so far. What a step needs inside is not counted.

        Args:
          members: stacked [n, ...].
        """
        one = jax.eval_shape(lambda stack: jax.tree.map(lambda leaf: leaf[0], stack), members)
        begun = jax.eval_shape(self.learner.begin, one) if one.optimizer_state is None else one
        share = -(-_count(members) // self.mesh.shape["pop"])
        abreast = min(1 << (share - 1).bit_length(), self.chunk)
        at_once = abreast if self.layout == "abreast" else min(_count(members), self.threads)
        each = _bytes(begun) + 2 * _bytes(begun.params) + _bytes(begun.state)
        return _bytes((self.train, self.valid)) + at_once * each

    def _recipe(self, members: list[Member]) -> tuple[Recipe, Limits]:
        recipe = Recipe(
            self.learner, self.augment, self.batch, self.valid is not None, members[0].optimizer_state is not None
        )
        patience = np.iinfo(np.int32).max if self.patience is None else self.patience
        return recipe, Limits(np.int32(self.epochs), np.int32(patience))

    def _in_turn(
        self, members: list[Member], keys: jax.Array, groups: dict[Any, list[int]], own: list[int],
        whole: Callable[[int, Ended], Ended],
    ) -> list[Ended]:  # fmt: skip
        """Trains this process's members one after another, on each thread; returns them `whole`, as in `own`."""
        recipe, limits = self._recipe(members)
        # Made once, and not by two threads at once.
        step = stepping(self.brief)

        def run(index: int) -> Ended:
            key, member = keys[index], members[index]
            if self.layout == "steps":
                return whole(index, self._stepped(step, key, member))
            return whole(index, jax.device_get(alone(recipe, key, member, self.train, self.valid, limits)))

        if self.threads == 1 or not are_alike():
            return [run(index) for index in own]
        # Whoever needs a new program begins, as it takes a thread as long to compile one as to train several members,
        # for which all would wait in the end; others that need the same one come last, when it is there.
        ranks = {
            index: 1 if looks in self._work.looks else 0 if place == 0 else 2
            for looks, indices in groups.items()
            for place, index in enumerate(indices)
        }
        ordered = sorted(own, key=ranks.__getitem__)
        with concurrent.futures.ThreadPoolExecutor(self.threads) as threads:
            ended = dict(zip(ordered, threads.map(run, ordered), strict=True))
        return [ended[index] for index in own]

    def _abreast(self, members: list[Member], keys: jax.Array, groups: dict[Any, list[int]]) -> list[Ended]:
        """Trains members that look alike side by side."""
        recipe, limits = self._recipe(members)
        devices = self.mesh.shape["pop"]
        found: list[Any] = [None] * len(members)
        for group in groups.values():
            for start in range(0, len(group), self.chunk * devices):
                part = group[start : start + self.chunk * devices]
                # Rounded up to a power of two on each device, so that few sizes are compiled for.
                on_each = -(-len(part) // devices)
                length = devices * min(self.chunk, 1 << (on_each - 1).bit_length())
                rows = [part[i] for i in np.minimum(np.arange(length), len(part) - 1)]
                stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *(members[i] for i in rows))
                together = abreast(recipe, self.mesh, keys[np.array(rows)], stacked, self.train, self.valid, limits)
                ended = hosts.fetch(together)
                for place, index in enumerate(part):
                    found[index] = jax.tree.map(lambda leaf, i=place: leaf[i], ended)
        return found

    def _stepped(self, step: Callable, key: jax.Array, member: Member) -> Ended:
        """Trains one member step by step."""
        begun = member if member.optimizer_state is not None else self.learner.begin(member)
        judge = None if self.valid is None else jax.jit(self.learner.score)  # pyright: ignore[reportArgumentType]
        score = None if judge is None else lambda member: float(judge(member, self.valid))
        best, history = run_epochs(
            key, begun, self.learner.update, self.split, epochs=self.epochs, batch=self.batch, augment=self.augment,
            score=score, patience=self.patience, layout="steps", step=step,
        )  # fmt: skip
        if member.optimizer_state is None:
            best = best._replace(optimizer_state=None)
        scores = [-math.inf if math.isnan(entry["score"]) else entry["score"] for entry in history if "score" in entry]
        metrics = {name: np.float32(value) for name, value in history[-1].items() if name not in ("epoch", "score")}
        reached = np.float32(max(scores) if scores else np.nan)
        return Ended(jax.device_get(best), np.int32(len(history)), reached, metrics)  # pyright: ignore[reportArgumentType]


def population(
    space: Space | Trainable,
    learner: Learner,
    split: Split,
    *,
    epochs: int,
    batch: int,
    valid: Split | None = None,
    patience: int | None = None,
    augment: Any = None,
    layout: str = "auto",
    compact: bool | None = None,
    brief: bool | None = None,
    chunk: int = CHUNK,
    threads: int | None = None,
    mesh: Mesh | None = None,
) -> PopulationFit:
    """Builds the training of populations: each member with its own order of examples, optimiser and early stopping.

    It takes a `Learner` rather than a loss, as `fit` takes an update: whatever learns from batches can be trained in a
    population, and `learner(space, loss, optimizer)` makes the one of a supervised loss. A member that is trained in a
    population is, to rounding, the one that is trained alone with the same key, by this or by `fit`; so it is whatever
    the layout.

    Args:
      space: a space whose members are trained; or a `Trainable`, for a population of one architecture.
      learner: how members learn.
      split: training examples.
      epochs: the most that a member trains, at least 1.
      batch: examples in a step, in [1, len(split)].
      valid: what members are scored on after each epoch, so that the best of each comes back; None for the last.
      patience: stop a member after so many epochs in a row without a better score; needs `valid`.
      augment: as in `fit`.
      layout: "abreast", members side by side in one program, which ends when the last of them does; "scan", one after
        another, the whole course of a member in one program; "steps", one after another, each step called from the
        host, for convolutions on a CPU, which are slow inside of loops; "auto": on CPUs "steps" where the space says
        that its members convolve, else "scan"; elsewhere "abreast".
      compact: whether members train without what their genomes leave out, in as many programs as compacted shapes
        differ; by default on CPUs, where the space can.
      brief: whether CPUs compile the programs of layout "steps" with less optimisation, in two thirds of the time; they
        run as fast, to 1%. By default where members are compacted, since there are many. Agreement is to rounding.
      chunk: members side by side on a device, the setting for memory of layout "abreast".
      threads: members at a time for the other layouts, by default one for each processor that this process may use,
        and one more for "steps", which wait for the host between two of them.
      mesh: devices of layout "abreast", by default all; members are shared out over its axis "pop", and are the same on
        any number of them. The other layouts run on the first device of each process, which shares members out.

    Returns:
      `fit(key, members) -> Fitted`; examples lie on the device.

    Raises:
      TypeError, ValueError: where an argument is not as above.
    """
    where = "population"
    learning = _check_space(where, space)
    if not isinstance(learner, Learner):
        raise TypeError(
            f"{where}: learner is {learner!r}, expected a Learner; make one with training.learner(space, loss, "
            "optimizer), or write Learner(begin, update, score)"
        )
    check_batch(where, split, batch)
    if batch > len(split):
        raise ValueError(f"{where}: batch is {batch}, but the split has {len(split)} examples; ask for no more")
    wanted = space.inputs if learner.inputs is None else learner.inputs
    check_inputs(f"{where}: split", wanted, split.inputs)
    _check_valid(where, learner, valid, patience)
    if valid is not None:
        check_inputs(f"{where}: valid", wanted, valid.inputs)
    if isinstance(learner.update, Descent):
        one = _untrained(space)
        for name, examples in (("split", split), ("valid", valid)):
            if examples is not None:
                learner.update.check_labels(f"{where}: {name}.labels", one, examples.labels)
    check_augment(where, augment, split)
    epochs, chunk = check_size(where, "epochs", epochs), check_size(where, "chunk", chunk)
    patience = None if patience is None else check_size(where, "patience", patience)
    threads = None if threads is None else check_size(where, "threads", threads)
    if layout not in ("auto", *LAYOUTS):
        raise ValueError(f"{where}: layout is {layout!r}, expected 'auto' or one of {LAYOUTS}")
    on_cpu = jax.default_backend() == "cpu"
    able = learning is not None and learning.compact is not None
    if compact is not None and check_flag(where, "compact", compact) and not able:
        raise ValueError(f"{where}: compact is True, but {space.name!r} does not compact its members; leave it out")
    if brief is not None:
        check_flag(where, "brief", brief)
    devices = check_mesh(where, mesh)
    chosen = _layout(learning, on_cpu) if layout == "auto" else layout
    place = NamedSharding(devices, P()) if chosen == "abreast" else None
    small = able and on_cpu if compact is None else compact
    return PopulationFit(
        space=space,
        learner=learner,
        train=_placed(split, place),
        valid=None if valid is None else _placed(valid, place),
        split=split,
        augment=augment,
        epochs=epochs,
        batch=batch,
        patience=patience,
        layout=chosen,  # pyright: ignore[reportArgumentType]
        compact=small,
        brief=small and chosen == "steps" if brief is None else brief,
        chunk=chunk,
        threads=threads or processors() + (chosen == "steps"),
        mesh=devices,
    )


def _untrained(space: Space | Trainable) -> Member:
    """Returns the shapes of a member before it is trained."""
    key = jax.random.key(0, impl="threefry2x32")
    if isinstance(space, Trainable):
        params, state = jax.eval_shape(space.init, key)
        return Member(None, params, state, None)
    return jax.eval_shape(space.init, key, space.genome)  # pyright: ignore[reportArgumentType]


def _layout(learning: Learning | None, on_cpu: bool) -> MembersLayout:
    if not on_cpu:
        return "abreast"
    return "steps" if learning is not None and learning.convolves else "scan"


def _placed(split: Split, place: NamedSharding | None) -> Batch:
    return jax.device_put(Batch(split.inputs, split.labels, np.ones(len(split), bool)), place)


def _count(members: Any) -> int:
    if not isinstance(members, Member):
        raise TypeError(f"population: members is a {type(members).__name__}, expected stacked Members; see Space.init")
    sizes = {np.shape(leaf)[0] if np.ndim(leaf) else 0 for leaf in jax.tree.leaves(members)}
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(
            f"population: members hold arrays of {sorted(sizes)} rows, expected one number of at least 1; stack "
            "members on a leading axis, as jax.vmap(space.init) does"
        )
    return sizes.pop()


def _keys(key: Any, count: int) -> jax.Array:
    if getattr(key, "ndim", 0) == 1 and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if len(key) != count:
            raise ValueError(f"population: key holds {len(key)} keys for {count} members, expected one for each")
        check_key("population", key[0])
        return key
    return jax.vmap(jax.random.fold_in, (None, 0))(check_key("population", key), jnp.arange(count))


def _check_space(where: str, space: Any) -> Learning | None:
    if isinstance(space, Trainable):
        return None
    if not isinstance(space, Space):
        raise TypeError(f"{where}: space is a {type(space).__name__}, expected a jaxevo.Space or a jaxevo.Trainable")
    if space.learning is None:
        raise ValueError(
            f"{where}: members of space {space.name!r} are not trained; pass a space whose members are, such as "
            "jaxevo.pruning.neurons(head)"
        )
    return space.learning


def _check_valid(where: str, learner: Learner, valid: Any, patience: Any) -> None:
    if valid is None:
        if patience is not None:
            raise ValueError(
                f"{where}: patience is {patience} without valid; pass the split that members are scored on"
            )
        return
    if not isinstance(valid, Split):
        raise TypeError(f"{where}: valid is a {type(valid).__name__}, expected a jaxevo.data.Split such as data.valid")
    if learner.score is None:
        raise ValueError(
            f"{where}: valid is given, but the learner has no score; leave it out, or write Learner(score=)"
        )


def _bytes(tree: PyTree) -> int:
    return sum(math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(tree))
