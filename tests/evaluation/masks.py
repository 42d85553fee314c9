"""A toy space: a small network over 6 features whose genome masks its hidden units."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.data import Split
from jaxevo.network import Network
from jaxevo.space import Cost, Space

FEATURES, HIDDEN, CLASSES = 6, 8, 4


def masks(output="logits", hidden=HIDDEN, traces=None, classes=CLASSES):
    """Returns the space; every trace of its `apply` appends to `traces`."""
    rng = np.random.default_rng(0)
    params = {
        "in": jnp.asarray(rng.normal(size=(FEATURES, hidden)), jnp.float32),
        "out": jnp.asarray(rng.normal(size=(hidden, classes)), jnp.float32),
    }
    spec = jax.ShapeDtypeStruct((FEATURES,), jnp.float32)

    def apply(params, genome, inputs):
        if traces is not None:
            traces.append(genome)
        logits = (jax.nn.relu(inputs @ params["in"]) * genome["mask"]) @ params["out"] / genome["scale"]
        return jax.nn.softmax(logits) if output == "probabilities" else logits

    def sample(key, n):
        mask = jax.random.bernoulli(key, shape=(n, hidden)).astype(jnp.float32)
        return {"mask": mask, "scale": jnp.ones(n)}

    return Space(
        name="masks",
        params=params,
        inputs=spec,
        sample=sample,
        vary=lambda key, a, b: jax.tree.map(lambda x, y: (x + y) / 2, a, b),
        apply=apply,
        decode=lambda params, genome: Network(lambda p, x: apply(p, genome, x), params, spec, output=output),
        cost=lambda genome: Cost((FEATURES + classes) * genome["mask"].sum(), (FEATURES + classes) * hidden),
        output=output,
    )


def split(n=37):
    """Returns n random examples."""
    rng = np.random.default_rng(1)
    return Split(rng.normal(size=(n, FEATURES)).astype(np.float32), rng.integers(CLASSES, size=n).astype(np.int32))
