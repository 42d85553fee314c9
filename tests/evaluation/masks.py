"""A toy space: a small network over 6 features, or over each position of a map, whose genome masks its hidden units."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.data import Split
from jaxevo.network import Network
from jaxevo.space import INPUTS, Cost, Segment, Space, Step, Work

FEATURES, HIDDEN, CLASSES = 6, 8, 4


def masks(output="logits", hidden=HIDDEN, traces=None, classes=CLASSES, space=()):
    """Returns the space over inputs [*space, 6]; every trace of its `apply` appends to `traces`."""
    rng = np.random.default_rng(0)
    params = {
        "in": jnp.asarray(rng.normal(size=(FEATURES, hidden)), jnp.float32),
        "out": jnp.asarray(rng.normal(size=(hidden, classes)), jnp.float32),
    }
    spec = jax.ShapeDtypeStruct((*space, FEATURES), jnp.float32)

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
        work=Work((_whole(apply),), lambda genome: (Step(0, (tuple(genome["mask"]), genome["scale"]), (INPUTS,)),)),
    )


def _whole(apply):
    """Returns the segment that is the whole network; its variant is the genome."""

    def run(params, variant, inputs):
        return apply(params, {"mask": jnp.stack(variant[0]), "scale": variant[1]}, inputs)

    return Segment("network", run, lambda params: params)


def split(n=37, space=(), least=0):
    """Returns n random examples, labelled with a class from `least` on for each position of `space`."""
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(n, *space, FEATURES)).astype(np.float32)
    return Split(inputs, rng.integers(least, CLASSES, size=(n, *space)).astype(np.int32))
