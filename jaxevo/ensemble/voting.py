"""Soft voting: several networks that answer together. M is the number of members."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from jaxevo.checks import as_numbers
from jaxevo.network import Network, batched

PyTree = Any


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
        pairs = zip(networks, params, strict=True)
        answers = (votes(net, net.apply(net_params, inputs)) for net, net_params in pairs)
        parts = [share * part for share, part in zip(shares, answers, strict=True)]
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


def votes(network: Network, outputs: PyTree) -> PyTree:
    """Returns what a network with such outputs votes with: probabilities of classes, or values."""
    return jax.nn.softmax(outputs, axis=-1) if network.output == "logits" else outputs


def _check_members(networks: Any) -> tuple[Network, ...]:
    several = isinstance(networks, Iterable) and not isinstance(networks, Network | jax.Array | np.ndarray)
    members = tuple(networks) if several else ()
    if not several or not all(isinstance(network, Network) for network in members):
        raise TypeError(f"vote: networks is {networks!r}, expected a list of jaxevo Networks")
    networks = members
    if not networks:
        raise ValueError("vote: networks is empty, expected at least one")
    for network in networks[1:]:
        check_equal("vote", networks[0], network)
    named = [network for network in networks if network.classes is not None]
    for network in named[1:]:
        check_equal("vote", named[0], network)
    return networks


def check_equal(where: str, first: Network, network: Network) -> None:
    """Raises ValueError, starting with `where`, unless two networks answer the same question about the same inputs."""
    for what, read in _EQUAL.items():
        one, other = read(first), read(network)
        if one != other:
            raise ValueError(
                f"{where}: networks {first.name!r} and {network.name!r} differ in {what}: {one} and {other}; "
                "expected networks that answer the same question about the same inputs"
            )
    if None not in (first.classes, network.classes) and first.classes != network.classes:
        raise ValueError(
            f"{where}: networks {first.name!r} and {network.name!r} have different classes, "
            f"{first.classes} and {network.classes}; expected equal names in equal order"
        )


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
    given = np.ones(members) if weights is None else as_numbers("vote", "weights", weights)
    if given.shape != (members,) or not np.isfinite(given).all() or (given < 0).any() or given.sum() <= 0:
        raise ValueError(
            f"vote: weights are {weights!r} for {members} networks, expected one finite number of at least 0 for each "
            "and a positive sum"
        )
    return [float(share) for share in given / given.sum()]
