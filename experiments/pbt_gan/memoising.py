"""Methods that begin with the same members train and score each of them once, as long as their places are not taken."""

from typing import Any

import jax
import numpy as np

from jaxevo import checkpoint
from jaxevo.evaluation import AfterTraining
from jaxevo.network import Member
from jaxevo.programs import numbered_keys

#: The most bytes of members that are kept. First steps are what methods share most, and they come first.
ROOM = 2**30


class Memo:
    """What members have become, by all that decides it: the key they train with, and every bit of them.

    room: the most bytes that are kept; what comes later is not.
    """

    def __init__(self, room: int = ROOM):
        self._room = room
        self._found: dict[str, tuple[Member, np.ndarray]] = {}

    def get(self, name: str) -> tuple[Member, np.ndarray] | None:
        """Returns a member after training and its fitness [m], None where it is not known."""
        return self._found.get(name)

    def put(self, name: str, member: Member, fitness: np.ndarray) -> None:
        """Keeps a member and its fitness [m], where there is room."""
        size = sum(leaf.nbytes for leaf in jax.tree.leaves((member, fitness)))
        if size <= self._room:
            self._found[name], self._room = (member, fitness), self._room - size


class Memoised:
    """An evaluation that trains and scores only members its memo does not know, with the same bits as if it did all.

    It counts every member as trained, known or not: methods are given the same budget, and a run that was cut, which
    knows fewer, tells the same. Only for members that train on their own: those side by side in one program round by
    how many they are.

    Args:
      evaluate: what trains and scores.
      memo: one for all evaluations that train, score and draw the same way.
    """

    def __init__(self, evaluate: AfterTraining, memo: Memo):
        self._evaluate, self._memo = evaluate, memo
        self._trained = np.zeros((), np.int64)

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the columns of the fitness."""
        return self._evaluate.objectives

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this evaluation."""
        return self._evaluate.identity

    def __call__(self, key: jax.Array, params: Any, members: Member) -> tuple[Member, np.ndarray]:
        """Trains and scores members; member i trains with `fold_in(key, i)`."""
        count = len(jax.tree.leaves(members)[0])
        keys = numbered_keys(key, count)
        rows = [jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), members) for i in range(count)]
        names = [checkpoint.digest((keys[i], row)) for i, row in enumerate(rows)]
        found = [self._memo.get(name) for name in names]
        missing = np.array([i for i, one in enumerate(found) if one is None], int)
        if len(missing):
            stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *(rows[i] for i in missing))
            trained, fitness = self._evaluate(keys[missing], params, stacked)
            for place, i in enumerate(missing):
                one = jax.tree.map(lambda leaf, k=place: np.array(leaf[k]), (trained, fitness))
                self._memo.put(names[i], *one)
                found[i] = one
        self._trained = self._trained + count
        return jax.tree.map(lambda *leaves: np.stack(leaves), *found)

    def report(self) -> dict[str, int]:
        """Returns how many members were trained so far, known or not."""
        return {"trained": int(self._trained)}

    @property
    def memory(self) -> dict[str, np.ndarray]:
        """What a checkpoint must hold."""
        return {"trained": self._trained}

    def restore(self, memory: dict[str, np.ndarray]) -> None:
        """Takes back what `memory` gave."""
        self._trained = np.asarray(memory["trained"])
