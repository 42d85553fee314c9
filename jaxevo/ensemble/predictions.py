"""What members of an ensemble say, gathered one member after another.

M is the number of members, N that of examples, C that of classes, always on the last axis: networks may give one answer
for each example or a map of answers. P is the number of answers that count: examples, or positions of maps.
"""

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from jaxevo.data import IGNORED, Split, batches, check_batch
from jaxevo.ensemble.voting import votes
from jaxevo.network import Network, check_inputs


def predict(networks: Iterable[Network], split: Split, batch: int = 256) -> np.ndarray:
    """Runs networks on the examples of a split, one after another.

    Args:
      networks: the M members; an iterator that makes each when it is asked for holds one at a time.
      split: the N examples; labels are not looked at.
      batch: examples per call, at least 1; at most N are used.

    Returns:
      What each votes with, float32 [M, N, ..., C]: probabilities, the softmax of logits; of networks with values their
      values, [M, N, ...].

    Raises:
      TypeError: where a member is no `Network` or split no `Split`.
      ValueError: where there are no members, or examples do not fit one.
    """
    if isinstance(networks, Network | jax.Array | np.ndarray) or not isinstance(networks, Iterable):
        raise TypeError(
            f"predict: networks is a {type(networks).__name__}, expected several Networks; write [network] for one"
        )
    said = [_predict(network, split, batch) for network in networks]
    if not said:
        raise ValueError("predict: networks is empty, expected at least one")
    return np.stack(said)


def _predict(network: Any, split: Split, batch: int) -> np.ndarray:
    if not isinstance(network, Network):
        raise TypeError(f"predict: networks holds {network!r}, expected jaxevo Networks")
    check_batch("predict", split, batch)
    walked = batches(split, min(batch, len(split)))
    check_inputs(f"predict of {network.name!r}", network.inputs, split.inputs)
    # Compiled once for all networks that share a function, such as the children of one parent.
    run = jax.jit(network.apply)
    said = []
    for part in walked:
        outputs = votes(network, run(network.params, part.inputs))
        said.append(np.asarray(outputs, np.float32)[part.mask])
    return np.concatenate(said)


def check_predictions(where: str, probabilities: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Checks what members say against labels, and leaves out what counts nowhere.

    Args:
      where: whose arguments they are, the start of the message.
      probabilities: [M, N, ..., C] in [0, 1]; what is not finite is let through.
      labels: whole numbers [N, ...] in [0, C), or -1 in maps where nothing counts.

    Returns:
      Probabilities [M, P, C] and labels [P].

    Raises:
      ValueError: where shapes or ranges are not as described.
    """
    probabilities, labels = check_probabilities(where, probabilities), np.asarray(labels)
    wanted, classes = probabilities.shape[1:-1], probabilities.shape[-1]
    if labels.shape != wanted or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{where}: labels are {labels.dtype} {list(labels.shape)}, expected whole numbers {list(wanted)}, one for "
            "each answer"
        )
    least = IGNORED if labels.ndim > 1 else 0
    if labels.min() < least or labels.max() >= classes or labels.max() == IGNORED:
        also = f", or {IGNORED} where nothing counts" if labels.ndim > 1 else ""
        raise ValueError(f"{where}: labels lie in [{labels.min()}, {labels.max()}], expected 0 to {classes - 1}{also}")
    # Every position of a map that counts is an example of its own.
    counts = labels.reshape(-1) != IGNORED
    return positions(probabilities)[:, counts], labels.reshape(-1)[counts]


def check_probabilities(where: str, probabilities: Any) -> np.ndarray:
    """Returns what members say as an array [M, N, ..., C].

    Raises:
      ValueError: where it is none, or a finite number lies outside [0, 1].
    """
    probabilities = np.asarray(probabilities)
    numbers = np.issubdtype(probabilities.dtype, np.number) and not np.iscomplexobj(probabilities)
    if probabilities.ndim < 3 or 0 in probabilities.shape or not numbers:
        raise ValueError(
            f"{where}: probabilities have shape {list(probabilities.shape)}, expected [M, N, ..., C] of real numbers, "
            f"which {probabilities.dtype} are not"
            if not numbers
            else f"{where}: probabilities have shape {list(probabilities.shape)}, expected [M, N, ..., C]"
        )
    finite = probabilities[np.isfinite(probabilities)]
    if finite.size and (finite.min() < 0 or finite.max() > 1 + 1e-4):
        raise ValueError(
            f"{where}: probabilities lie in [{finite.min():.3g}, {finite.max():.3g}], expected [0, 1]; "
            "pass logits through jax.nn.softmax first"
        )
    return probabilities


def check_finite(where: str, probabilities: np.ndarray) -> None:
    """Raises ValueError where a member said something that is not finite; names the first such."""
    broken = np.flatnonzero(~np.isfinite(probabilities).reshape(len(probabilities), -1).all(axis=1))
    if len(broken):
        raise ValueError(
            f"{where}: probabilities of member {broken[0]} are not all finite; leave out such members "
            "(greedy never chooses them)"
        )


def positions(probabilities: np.ndarray) -> np.ndarray:
    """Returns [M, N, ..., C] as [M, positions, C]."""
    return probabilities.reshape(len(probabilities), -1, probabilities.shape[-1])
