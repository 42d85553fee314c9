"""Members that train side by side are the same on one device and on eight."""

import os
import subprocess
import sys

import numpy as np

CODE = """
import sys
import jax
import numpy as np
import optax
from jaxevo import data, evaluation, pbt, training

assert jax.device_count() == 8
digits = data.load("digits")
split = data.Split(digits.train.inputs[:40], digits.train.labels[:40])
layers = [
    pbt.Convolution("first", 1, ("conv1", "conv3"), (2, 4), ("relu", "swish"), ("none", "batch"), stride=2),
    pbt.Plain("mean", lambda maps: maps.mean((1, 2))),
    pbt.Dense("logits", 4, (10,)),
]
space = pbt.layers(pbt.chain(layers, jax.ShapeDtypeStruct((8, 8, 1), np.float32)))
learner = training.learner(space, training.cross_entropy, optax.sgd(0.1))
genomes = space.sample(jax.random.key(0), 5)
members = jax.vmap(space.init)(jax.random.split(jax.random.key(1), 5), genomes)
found = {}
for devices in (1, 8):
    fit = training.population(
        space, learner, split, epochs=2, batch=20, layout="abreast", compact=False,
        mesh=evaluation.mesh(jax.devices()[:devices]),
    )
    leaves = jax.tree.leaves(fit(jax.random.key(2), members).members.params)
    found |= {f"{devices}-{index}": leaf for index, leaf in enumerate(leaves)}
np.savez(sys.argv[1], **found)
"""


def test_members_are_the_same_on_one_device_and_on_eight(tmp_path):
    path = tmp_path / "found.npz"
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", CODE, str(path)], check=True, env=environment)
    with np.load(path) as found:
        names = [name for name in found.files if name.startswith("1-")]
        assert names
        for name in names:
            np.testing.assert_allclose(found["8" + name[1:]], found[name], rtol=1e-5, atol=1e-6)
