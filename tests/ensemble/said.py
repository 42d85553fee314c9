"""Networks that answer linearly, and what members say about examples drawn at random."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.network import Network

SPEC = jax.ShapeDtypeStruct((5,), jnp.float32)


def logits(params, inputs):
    return inputs @ params["w"]


def network(seed, output="logits", classes=("a", "b", "c"), width=3):
    weights = jax.random.normal(jax.random.key(seed), (5, width))

    def probabilities(params, inputs):
        return jax.nn.softmax(logits(params, inputs))

    apply = probabilities if output == "probabilities" else logits
    return Network(apply, {"w": weights}, SPEC, name=f"net{seed}", output=output, classes=classes)


def candidates(members=6, n=40, classes=4, seed=0):
    """Returns probabilities [M, N, C] that lean to the labels [N]."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    odds = np.exp(rng.normal(size=(members, n, classes)) + 0.8 * np.eye(classes)[labels])
    return odds / odds.sum(-1, keepdims=True), labels
