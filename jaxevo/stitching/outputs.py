"""Outputs of a merged network: whether two parents agree on them, and soft votes over both."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxevo.network import Network, batched


def vote(output: str, weight: float) -> Callable[..., jax.Array]:
    """Returns a segment that averages the outputs of two networks.

    Args:
      output: kind of output. Of logits, probabilities are averaged, and the logarithm of the mean is returned.
      weight: weight of the first network, in (0, 1).

    Returns:
      A function `(leaves, variant, first, second) -> outputs`.
    """

    def apply(leaves, variant, first, second):
        del leaves, variant
        if output != "logits":
            return weight * first + (1 - weight) * second
        first, second = first.astype(jnp.float32), second.astype(jnp.float32)
        # In logarithms, so that a probability that underflows in both still gives a finite logit.
        logs = jax.nn.log_softmax(first) + jnp.log(weight), jax.nn.log_softmax(second) + jnp.log1p(-weight)
        return jnp.logaddexp(*logs)

    return apply


def check_outputs(a: Network, b: Network) -> None:
    """Checks that two networks can vote.

    Raises:
      ValueError: where they differ in kind or shape of their outputs or in their classes, or have several outputs.
    """
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
    shapes = []
    for network in (a, b):
        made = jax.eval_shape(network.apply, network.params, batched(network.inputs, 1))
        if not isinstance(made, jax.ShapeDtypeStruct):
            raise ValueError(
                f"stitch: {network.name!r} returns {made}, expected one array of outputs; return only that"
            )
        shapes.append(made.shape[1:])
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"stitch: outputs of {a.name!r} have shape {list(shapes[0])}, those of {b.name!r} {list(shapes[1])}; "
            "give both a head for the same classes first"
        )
