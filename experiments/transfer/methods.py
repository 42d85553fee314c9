"""How a student begins: by jaxevo's transfer, by what is published, and by what that was compared with."""

from collections.abc import Callable
from typing import Any

import jax

from jaxevo import transfer
from jaxevo.network import Network, Trainable

PyTree = Any
#: `(key, teacher, student, parameters) -> parameters`, the student's as `{"params": ..., "state": ...}`.
Method = Callable[[jax.Array, Network, Trainable, PyTree], PyTree]

#: What every gain is measured against.
RANDOM = "random initialisation"
#: The method that is put to the test.
OURS = "jaxevo"


def ours(inertia: float) -> Method:
    """Returns jaxevo's transfer; inertia as in `transfer.copy_weights`."""

    def fill(key, teacher, student, params):
        del key
        return transfer.copy_weights(transfer.align(teacher, student), teacher.params, params, inertia=inertia)

    return fill


def _published(match: transfer.Match, transform: transfer.Transform) -> Method:
    def fill(key, teacher, student, params):
        del key
        alignment = transfer.align(teacher, student, match=match)
        return transfer.copy_weights(alignment, teacher.params, params, transform=transform, guard=0, bridge=False)

    return fill


def _random(key: jax.Array, teacher: Network, student: Trainable, params: PyTree) -> PyTree:
    return _published(transfer.random_match(key), transfer.clip)(key, teacher, student, params)


#: What jaxevo is compared with: itself with weights as they are, the published method, and what that was compared with.
BASELINES: dict[str, Method] = {
    "jaxevo, inertia 1": ours(1.0),
    "clip, blocks in order": _published(transfer.by_blocks, transfer.clip),
    "clip, layers in order": _published(transfer.flat, transfer.clip),
    "clip, blocks in any order": _published(transfer.bipartite, transfer.clip),
    "magnitude, blocks in order": _published(transfer.by_blocks, transfer.magnitude),
    "clip, at random": _random,
}
