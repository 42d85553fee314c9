"""Outputs of a merged network: whether its parents agree on them, and soft votes over several.

`P` is the number of parents.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxevo.network import Network, batched


def ballots(parents: int, votes: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    """Lists the soft votes that a merged network offers as outputs.

    Args:
      parents: P.
      votes: weights in (0, 1) of the first of any two parents.

    Returns:
      The weights of all parents in each vote, [P]: every pair of parents with every weight, then, where there are more
      than two parents and votes at all, all of them alike.
    """
    found = []
    for (first, second), weight in itertools.product(itertools.combinations(range(parents), 2), votes):
        found.append(tuple(weight if i == first else 1 - weight if i == second else 0.0 for i in range(parents)))
    return (*found, (1 / parents,) * parents) if parents > 2 and votes else tuple(found)


def vote(output: str, weights: Sequence[float]) -> Callable[..., jax.Array]:
    """Returns a segment that averages the outputs of networks.

    Args:
      output: kind of output. Of logits, probabilities are averaged, and the logarithm of the mean is returned.
      weights: of the networks, above 0, with sum 1.

    Returns:
      A function `(leaves, variant, *outputs) -> outputs`.
    """

    def apply(leaves, variant, *outputs):
        del leaves, variant
        if output != "logits":
            weighted = [weight * one for weight, one in zip(weights, outputs, strict=True)]
            return functools.reduce(jnp.add, weighted)
        # In logarithms, so that a probability that underflows in all still gives a finite logit.
        logs = [
            jax.nn.log_softmax(one.astype(jnp.float32)) + math.log(weight)
            for weight, one in zip(weights, outputs, strict=True)
        ]
        return jax.nn.logsumexp(jnp.stack(logs), axis=0).astype(jnp.result_type(*outputs))

    return apply


def check_outputs(networks: Sequence[Network]) -> None:
    """Checks that networks can vote.

    Raises:
      ValueError: where they differ in kind or shape of their outputs or in their classes, or have several outputs.
    """
    shapes = [_shape(network) for network in networks]
    for a, b in itertools.combinations(networks, 2):
        if a.output != b.output:
            raise ValueError(
                f"stitch: outputs of {a.name!r} are {a.output}, those of {b.name!r} {b.output}; make them alike"
            )
        if a.classes != b.classes and a.classes is not None and b.classes is not None:
            differ = sorted(set(a.classes) ^ set(b.classes))[:5] or "their order"
            raise ValueError(
                f"stitch: {a.name!r} and {b.name!r} tell different classes apart (differing: {differ}); "
                "give both a head for the same classes first"
            )
    for network, shape in zip(networks, shapes, strict=True):
        if shape != shapes[0]:
            raise ValueError(
                f"stitch: outputs of {networks[0].name!r} have shape {list(shapes[0])}, those of {network.name!r} "
                f"{list(shape)}; give both a head for the same classes first"
            )


def _shape(network: Network) -> tuple[int, ...]:
    made = jax.eval_shape(network.apply, network.params, batched(network.inputs, 1))
    if not isinstance(made, jax.ShapeDtypeStruct):
        raise ValueError(f"stitch: {network.name!r} returns {made}, expected one array of outputs; return only that")
    return made.shape[1:]
