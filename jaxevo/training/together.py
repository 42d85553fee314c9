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
from jax.sharding import Mesh

from jaxevo import checkpoint, hosts
from jaxevo.checkpoint.functions import known_as
from jaxevo.data import Batch, Split
from jaxevo.network import Member, PyTree, Trainable, check_key
from jaxevo.programs import numbered_keys, split_key
from jaxevo.space import Space
from jaxevo.threads import are_alike
from jaxevo.training import compiling
from jaxevo.training.compaction import alike, compacted, expanded
from jaxevo.training.courses import Ended, Limits, Recipe, abreast, alone
from jaxevo.training.fitting import run_epochs, stepping
from jaxevo.training.learning import Learner

#: How members lie: "abreast", side by side in one program; "scan", one after another, the whole course of each in one
#: program; "steps", one after another, every step called from the host.
MembersLayout = Literal["abreast", "scan", "steps"]
LAYOUTS = ("abreast", "scan", "steps")


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
        abreast = self.layout == "abreast"
        keys = _keys(key, count, abreast)
        rows = [jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), members) for i in range(count)]
        learning = self.space.learning if self.compact and isinstance(self.space, Space) else None
        small = rows if learning is None else [compacted(learning, row) for row in rows]
        groups, compiled, started = alike(small), compiling.seconds(), time.monotonic()
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
        self, members: list[Member], keys: Any, groups: dict[Any, list[int]], own: list[int],
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

    def _abreast(self, members: list[Member], keys: Any, groups: dict[Any, list[int]]) -> list[Ended]:
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


def _keys(key: Any, count: int, together: bool) -> Any:
    """Returns a key for each member, in one array where they train together or came so, else apart."""
    if getattr(key, "ndim", 0) == 1 and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if len(key) != count:
            raise ValueError(f"population: key holds {len(key)} keys for {count} members, expected one for each")
        check_key("population", key[0])
        return key
    return (numbered_keys if together else split_key)(check_key("population", key), count)


def _bytes(tree: PyTree) -> int:
    return sum(math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(tree))
