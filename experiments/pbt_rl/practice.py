"""Members that act and learn in turn, and are scored by the returns of episodes without noise.

What a member has seen belongs to its place in the population, and is saved with a search. Its optimiser's state says
which place that is: so a child, which copies the state of its better parent, goes on with a copy of what that one has
seen, and a member that begins anew with nothing. (The published code gives a child the better parent's weights and the
other one's replay buffer, or one buffer to all on Walker and Humanoid Run.) n is the number of members, E that of
environments in which each acts.
"""

import concurrent.futures
import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.pbt_rl import drqv2, life, replay
from experiments.pbt_rl.drqv2 import Batch, Learning
from experiments.pbt_rl.environments import Environment
from experiments.pbt_rl.life import Life
from jaxevo.network import Member
from jaxevo.pbt import Architecture
from jaxevo.space import Space
from jaxevo.training import Metrics
from jaxevo.training.compaction import compacted, expanded

PyTree = Any

#: Place of a member that has seen nothing.
NOWHERE = -1


@dataclasses.dataclass(frozen=True)
class Course:
    """What members do between two scores.

    steps: that a member takes, those of all its environments counted.
    environments: E, in which it acts side by side.
    every: steps for one of learning; 2 as published.
    first: steps with actions drawn evenly before a member begins; 2,000 as published.
    remembered: steps that a member remembers.
    episodes: that it is scored on; 10 as published.
    """

    steps: int
    environments: int = 1
    every: int = 2
    first: int = 2000
    remembered: int = 100_000
    episodes: int = 10


class Experience(NamedTuple):
    """What a member has seen.

    life: where its environments are.
    buffer: what it remembers.
    """

    life: Life
    buffer: replay.Buffer


class Practice:
    """What `search.run` evaluates agents with: `(key, params, members) -> (members, fitness [n, 1])`.

    Member i acts and learns with `fold_in(key, i)`; all are scored on the same episodes. Each runs in programs of its
    own size, each step called from the host; with `masked` in one for all architectures, for accelerators.

    architecture, space: of the members, from `agents`.
    environment: what they act in.
    learning, course: how they learn.
    masked: whether members run as they are, or compacted.
    threads: members at a time.
    """

    objectives = ("return",)

    def __init__(
        self,
        architecture: Architecture,
        space: Space,
        environment: Environment,
        learning: Learning,
        course: Course,
        *,
        masked: bool = False,
        threads: int = 1,
    ):
        _check(environment, learning, course)
        self.architecture, self.space, self.environment = architecture, space, environment
        self.learning, self.course, self.masked, self.threads = learning, course, masked, threads
        self._experience: list[Experience] | None = None
        self._counts = np.zeros(2, np.int64)
        advance = functools.partial(life.advance, environment)
        self._advance = advance if environment.host else jax.jit(advance)
        enter = functools.partial(life.begin, environment)
        self._enter = enter if environment.host else jax.jit(enter, static_argnums=1)
        self._remember = jax.jit(replay.add, donate_argnums=0)
        self._act = jax.jit(functools.partial(drqv2.explore, architecture))
        self._learn = jax.jit(self._learned)

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this evaluation, as JSON can hold it."""
        return {
            "task": self.environment.name, "frame": list(self.environment.frame), "stack": self.environment.stack,
            "length": self.environment.length, "learning": dataclasses.asdict(self.learning),
            "course": dataclasses.asdict(self.course), "masked": self.masked,
        }  # fmt: skip

    @property
    def memory(self) -> PyTree:
        """What members have seen, place by place, and the counts of `report`."""
        held = [self._begun(jax.random.key(0, impl="threefry2x32"))] if self._experience is None else self._experience
        return {
            "experience": jax.tree.map(lambda *leaves: np.stack(leaves), *jax.device_get(held)),
            "counts": self._counts,
        }

    def restore(self, memory: PyTree) -> None:
        """Takes back what `memory` gave."""
        count = len(memory["experience"].buffer.added)
        self._experience = [jax.tree.map(lambda leaf, i=i: leaf[i], memory["experience"]) for i in range(count)]
        self._counts = np.asarray(memory["counts"])

    def report(self) -> dict[str, int]:
        """Returns the numbers of its work so far: steps of environments and of learning, of all members."""
        return {"steps": int(self._counts[0]), "updates": int(self._counts[1])}

    def begin(self, member: Member) -> Member:
        """Gives a member its first optimiser states; for `search.replace_worst`."""
        begun = drqv2.begin(self.architecture, self.learning, member)
        return begun._replace(optimizer_state={**begun.optimizer_state, "place": jnp.int32(NOWHERE)})

    def __call__(self, key: jax.Array, params: PyTree, members: Member) -> tuple[Member, np.ndarray]:
        """Lets members act and learn, and scores them.

        Args:
          key: a key.
          params: not used: members have parameters of their own.
          members: stacked [n, ...], with optimiser states as `begin` gives them.

        Returns:
          The members as they are then, and the mean returns of their episodes, float32 [n, 1]; NaN for a member with a
          parameter that is not finite.
        """
        del params
        rows = [jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), members) for i in range(len(members.genome))]
        before = self._experience
        keys = [jax.random.fold_in(key, index) for index in range(len(rows))]

        def lived(index: int) -> tuple[Member, float, Experience]:
            place = int(rows[index].optimizer_state["place"])
            if place == NOWHERE:
                known = self._filled(keys[index])
            else:
                assert before is not None
                # Copied, since the ring is changed where it lies, and others may go on from the same one.
                known = jax.tree.map(jnp.copy, before[place])
            member, known = self._practised(keys[index], self.compacted(rows[index]), known)
            score = self.score(jax.random.fold_in(key, len(rows)), member)
            grown = jax.device_get(member) if self.masked else self._large(jax.device_get(member), rows[index])
            return grown._replace(optimizer_state={**grown.optimizer_state, "place": np.int32(index)}), score, known

        if self.threads == 1 or self.environment.host:
            found = [lived(index) for index in range(len(rows))]
        else:
            with concurrent.futures.ThreadPoolExecutor(self.threads) as threads:
                found = list(threads.map(lived, range(len(rows))))
        new = sum(int(row.optimizer_state["place"]) == NOWHERE for row in rows)
        steps = len(rows) * self.course.steps + new * self.course.first
        self._counts = self._counts + np.array([steps, len(rows) * (self.course.steps // self.course.every)])
        self._experience = [known for *_, known in found]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *(member for member, *_ in found))
        return stacked, np.asarray([[score] for _, score, _ in found], np.float32)

    def score(self, key: jax.Array, member: Member) -> float:
        """Returns the mean return of a member's episodes without noise, NaN where a parameter is not finite.

        Args:
          key: of the episodes.
          member: whole or compacted.
        """
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.device_get(member.params))):
            return float("nan")
        *_, (_, returns) = self.episodes(key, member)
        return float(returns.mean())

    def episodes(self, key: jax.Array, member: Member) -> Iterator[tuple[Life, np.ndarray]]:
        """Plays episodes without noise, side by side.

        Args:
          key: of the episodes.
          member: whole or compacted.

        Yields:
          After each step where the environments are, and the returns so far, [episodes]; those of an episode that has
          ended stay.
        """
        count = self.course.episodes
        where, total, over = self._enter(jax.random.fold_in(key, 0), count), np.zeros(count), np.zeros(count, bool)
        for step in range(self.environment.length):
            step_key = jax.random.fold_in(key, step + 1)
            where, row = self._advance(step_key, where, self._act(step_key, member, where.observations, 0.0))
            total = total + np.where(over, 0, np.asarray(row.rewards) / self.environment.scale)
            over = over | np.asarray(where.last)
            yield where, total
            if over.all():
                return

    def _begun(self, key: jax.Array) -> Experience:
        """Returns the experience of one that has seen nothing."""
        count, environment = self.course.environments, self.environment
        buffer = replay.empty(self.course.remembered // count, count, environment.frame, environment.actions)
        return Experience(self._enter(key, count), buffer)

    def _filled(self, key: jax.Array) -> Experience:
        """Returns the experience of one that has acted by chance."""
        where, buffer = self._begun(jax.random.fold_in(key, 0))
        count = self.course.environments
        for row in range(self.course.first // count):
            act_key, step_key = jax.random.split(jax.random.fold_in(key, row + 1))
            actions = jax.random.uniform(act_key, (count, self.environment.actions), minval=-1, maxval=1)
            where, seen = self._advance(step_key, where, actions)
            buffer = self._remember(buffer, seen)
        return Experience(where, buffer)

    def _practised(self, key: jax.Array, member: Member, experience: Experience) -> tuple[Member, Experience]:
        """Lets one member act and learn in turn."""
        (where, buffer), course = experience, self.course
        count = course.environments
        taken = int(buffer.added) * count
        act_key, learn_key = jax.random.split(key)
        for row in range(course.steps // count):
            draw_key, step_key = jax.random.split(jax.random.fold_in(act_key, row))
            deviation = drqv2.noise(self.learning, taken + row * count)
            actions = self._act(draw_key, member, where.observations, deviation)
            where, seen = self._advance(step_key, where, actions)
            buffer = self._remember(buffer, seen)
            for number in range(row * count // course.every, (row + 1) * count // course.every):
                member, _ = self._learn(learn_key, number, member, buffer, deviation)
        return member, Experience(where, buffer)

    def _learned(
        self, key: jax.Array, number: Any, member: Member, buffer: replay.Buffer, deviation: Any
    ) -> tuple[Member, Metrics]:
        """Draws transitions and learns from them."""
        sample_key, update_key = jax.random.split(jax.random.fold_in(key, number))
        learning = self.learning
        drawn = replay.sample(
            sample_key, buffer, learning.batch, stack=self.environment.stack, steps=learning.steps,
            discount=learning.discount,
        )  # fmt: skip
        return drqv2.update(self.architecture, learning, update_key, member, Batch(drawn, deviation))

    def compacted(self, member: Member) -> Member:
        """Returns a member as it runs: compacted, or as it is where members run masked."""
        assert self.space.learning is not None
        return member if self.masked else compacted(self.space.learning, member)

    def _large(self, small: Member, member: Member) -> Member:
        assert self.space.learning is not None
        return expanded(self.space.learning, small, member)


def _check(environment: Environment, learning: Learning, course: Course) -> None:
    """Raises a ValueError where settings do not fit together."""
    count = course.environments
    for name in ("steps", "first", "remembered"):
        value = getattr(course, name)
        if value % count:
            raise ValueError(f"Practice: {name} is {value}, expected a multiple of the {count} environments")
    if course.first // count <= learning.steps or course.remembered // count <= learning.steps + environment.stack:
        raise ValueError(
            f"Practice: first is {course.first} and remembered {course.remembered} with {count} environments, expected "
            f"that each holds a transition of {learning.steps} steps"
        )
