"""Ensembles: several networks that answer together, and which ones to take.

M is the number of members, N that of examples, C that of classes, always on the last axis: networks may give one answer
for each example or a map of answers.
"""

from collections.abc import Sequence
from typing import Literal

import jax
import numpy as np

from jaxevo.data import IGNORED
from jaxevo.network import Network, batched


def vote(networks: Sequence[Network], weights: Sequence[float] | None = None) -> Network:
    """Joins networks into one whose output is the mean of theirs (soft voting).

    Networks over classes vote by their probabilities, the softmax of logits; networks with values by their values.
    The mean of probabilities is the linear opinion pool of Stone, "The opinion pool", Annals of Mathematical
    Statistics 32, 1961; see Kuncheva, "Combining Pattern Classifiers", 2004, section 5.

    Args:
      networks: the M members, at least one; of equal inputs, conventions, classes and shape of output.
      weights: M numbers of at least 0 with a positive sum, scaled to sum to 1; by default all equal.

    Returns:
      A network of the same inputs whose `params` are the tuple of the members' `params` and whose output is
      "probabilities" (or "values").

    Raises:
      TypeError: where a member is no `Network`.
      ValueError: where there are none, members differ in what must be equal, or the weights are no weights.
    """
    networks = _check_members(networks)
    shares = _check_weights(weights, len(networks))
    first = networks[0]

    def apply(params, inputs):
        answers = (_answer(net, net_params, inputs) for net, net_params in zip(networks, params, strict=True))
        parts = [share * answer for share, answer in zip(shares, answers, strict=True)]
        return sum(parts[1:], start=parts[0])

    return Network(
        apply,
        tuple(network.params for network in networks),
        first.inputs,
        name=" + ".join(network.name for network in networks),
        output="values" if first.output == "values" else "probabilities",
        classes=next((network.classes for network in networks if network.classes is not None), None),
        convention=first.convention,
    )


def greedy(
    probabilities: np.ndarray, labels: np.ndarray, size: int, metric: Literal["nll", "accuracy"] = "nll"
) -> np.ndarray:
    """Chooses members of an ensemble one after another, each the one that helps the ensemble so far most.

    Forward selection with replacement of Caruana, Niculescu-Mizil, Crew and Ksikes, "Ensemble selection from
    libraries of models", ICML 2004, sections 2 and 2.1: a member that is chosen twice counts twice in the vote.

    Args:
      probabilities: what the M candidates say, [M, N, C], or maps [M, N, ..., C], in [0, 1]. A candidate with a number
        that is not finite is never chosen.
      labels: whole numbers [N] in [0, C), or maps [N, ...], where -1 counts nowhere.
      size: how many to choose, at least 1; may be more than M.
      metric: what the ensemble is judged by on these examples: "nll" (mean negative log-likelihood, smaller is
        better) or "accuracy".

    Returns:
      Indices of the chosen candidates in the order of choice, int [size]; of equal candidates the first.

    Raises:
      ValueError: where shapes, labels, size or metric are not as described, or no candidate is finite.
    """
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    _check_candidates(probabilities, labels, size, metric)
    # Every position of a map that counts is an example of its own.
    probabilities = probabilities.reshape(len(probabilities), -1, probabilities.shape[-1])
    counts = labels.reshape(-1) != IGNORED
    probabilities, labels = probabilities[:, counts], labels.reshape(-1)[counts]
    usable = np.isfinite(probabilities).all(axis=(1, 2))
    if not usable.any():
        raise ValueError("greedy: probabilities hold no candidate that is finite throughout, expected at least one")
    candidates = np.flatnonzero(usable)
    said = probabilities[candidates]
    if metric == "nll":
        # The likelihood reads only what is said about the true class: [M, N] instead of [M, N, C].
        said = np.take_along_axis(said, labels[None, :, None], axis=2)[..., 0]
    score = _likelihoods if metric == "nll" else _accuracies
    total, chosen = np.zeros(said.shape[1:]), []
    for _ in range(size):
        # Argmax takes the first of equals, so that the choice does not depend on the platform.
        best = int(np.argmax(score(total, said, labels)))
        total = total + said[best]
        chosen.append(candidates[best])
    return np.array(chosen)


def _likelihoods(total: np.ndarray, said: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the log-likelihood [M] of the ensemble with each candidate, up to a constant of its size."""
    del labels
    return np.log(np.maximum(total + said, np.finfo(np.float64).tiny)).sum(axis=1)


def _accuracies(total: np.ndarray, said: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns how many examples [M] the ensemble with each candidate gets right."""
    return np.array([(np.argmax(total + one, axis=-1) == labels).sum() for one in said])


def _answer(network: Network, params, inputs):
    """Returns what a network votes with."""
    outputs = network.apply(params, inputs)
    return jax.nn.softmax(outputs, axis=-1) if network.output == "logits" else outputs


def _check_members(networks: Sequence[Network]) -> tuple[Network, ...]:
    if isinstance(networks, Network) or not all(isinstance(network, Network) for network in networks):
        raise TypeError(f"vote: networks is {networks!r}, expected a list of jaxevo Networks")
    networks = tuple(networks)
    if not networks:
        raise ValueError("vote: networks is empty, expected at least one")
    first = networks[0]
    for network in networks[1:]:
        for what, read in _EQUAL.items():
            one, other = read(first), read(network)
            if one != other:
                raise ValueError(
                    f"vote: networks {first.name!r} and {network.name!r} differ in {what}: {one} and {other}; "
                    "expected networks that answer the same question about the same inputs"
                )
    named = [network for network in networks if network.classes is not None]
    for network in named[1:]:
        if network.classes != named[0].classes:
            raise ValueError(
                f"vote: networks {named[0].name!r} and {network.name!r} have different classes, "
                f"{named[0].classes} and {network.classes}; expected equal names in equal order"
            )
    return networks


def _output(network: Network):
    """Returns the shape of the outputs for one example."""
    outputs = jax.eval_shape(network.apply, network.params, batched(network.inputs, 1))
    return jax.tree.map(lambda leaf: leaf.shape[1:], outputs)


#: What members must agree in, the cheap and the basic first: outputs are traced on equal inputs only.
_EQUAL = {
    "inputs": lambda network: network.inputs,
    "convention": lambda network: network.convention,
    "kind of output": lambda network: "values" if network.output == "values" else "classes",
    "shape of output": _output,
}


def _check_weights(weights: Sequence[float] | None, members: int) -> list[float]:
    """Returns the weights, scaled to sum to 1."""
    given = np.ones(members) if weights is None else np.asarray(weights, np.float64)
    if given.shape != (members,) or not np.isfinite(given).all() or (given < 0).any() or given.sum() <= 0:
        raise ValueError(
            f"vote: weights are {weights!r} for {members} networks, expected one finite number of at least 0 for each "
            "and a positive sum"
        )
    return [float(share) for share in given / given.sum()]


def _check_candidates(probabilities: np.ndarray, labels: np.ndarray, size: int, metric: str) -> None:
    if probabilities.ndim < 3 or 0 in probabilities.shape:
        raise ValueError(f"greedy: probabilities have shape {list(probabilities.shape)}, expected [M, N, ..., C]")
    finite = probabilities[np.isfinite(probabilities)]
    if finite.size and (finite.min() < 0 or finite.max() > 1 + 1e-4):
        raise ValueError(
            f"greedy: probabilities lie in [{finite.min():.3g}, {finite.max():.3g}], expected [0, 1]; "
            "pass logits through jax.nn.softmax first"
        )
    wanted, classes = probabilities.shape[1:-1], probabilities.shape[-1]
    if labels.shape != wanted or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"greedy: labels are {labels.dtype} {list(labels.shape)}, expected whole numbers {list(wanted)}, one for "
            "each answer"
        )
    least = IGNORED if labels.ndim > 1 else 0
    if labels.min() < least or labels.max() >= classes or labels.max() == IGNORED:
        also = f", or {IGNORED} where nothing counts" if labels.ndim > 1 else ""
        raise ValueError(f"greedy: labels lie in [{labels.min()}, {labels.max()}], expected 0 to {classes - 1}{also}")
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ValueError(f"greedy: size is {size!r}, expected a whole number of at least 1")
    if metric not in ("nll", "accuracy"):
        raise ValueError(f"greedy: metric is {metric!r}, expected 'nll' or 'accuracy'")
