"""Networks with ImageNet weights as sources."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxevo
from experiments import pretrained, zoo
from jaxevo import transfer

NAMES = ("efficientnet-lite0", "efficientnet-lite1")
MISSING = sorted({package for name in NAMES for package in pretrained.missing(name)})


@pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
def test_efficientnet_lite0_fills_lite1_and_a_network_of_the_zoo():
    example = jax.ShapeDtypeStruct((2, 3, 64, 64), jnp.float32)
    lite0, lite1 = (jaxevo.from_torch(pretrained.module(name, 64), example, name=name) for name in NAMES)
    alignment = transfer.align(lite0, lite1)
    entries = transfer.report(alignment).entries
    assert alignment.similarity > 0.7
    assert sum(entry.how == "equal" for entry in entries) > len(entries) / 2
    made = transfer.copy_weights(alignment, lite0.params, lite1.params)
    assert jax.tree.map(jnp.shape, made) == jax.tree.map(jnp.shape, lite1.params)
    student = zoo.build("efficientnet_b0", (64, 64, 3), 1000)
    params, state = student.init(jax.random.key(0))
    made = transfer.copy_weights(transfer.align(lite0, student), lite0.params, {"params": params, "state": state})
    outputs = student.network(made["params"], made["state"])(np.zeros((1, 64, 64, 3), np.float32))
    assert bool(jnp.isfinite(outputs).all())
