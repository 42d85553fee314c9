"""Eight devices give what one gives: shared evaluation, moments and fitted stitches."""

import os
import subprocess
import sys

import numpy as np

CODE = """
import sys
import jax
import numpy as np
from jaxevo import evaluation, stitching
from tests.stitching.merging import examples, small

assert jax.device_count() == 8
merged, split, found = small(fitted=False), examples(44), {}
for devices, data in ((1, 1), (8, 1), (8, 4)):
    mesh = evaluation.mesh(jax.devices()[:devices], data=data)
    _, fits = stitching.fit(jax.random.key(1), merged, split, batch=8, mesh=mesh)
    space = stitching.switches(merged, probability=0.4)
    evaluate = evaluation.shared(space, split, [evaluation.accuracy, -evaluation.nll], batch=20, mesh=mesh)
    genomes = space.sample(jax.random.key(2), 4)
    (moments,) = evaluation.grams(
        jax.random.key(3), lambda params, x: [x], {}, [(0, 0)], split, batch=3, folds=4, mesh=mesh
    )
    found[f"fitness{devices}{data}"] = evaluate(None, space.params, genomes)[1]
    found[f"fits{devices}{data}"] = np.array([fit[1:] for fit in fits])
    found[f"moments{devices}{data}"] = moments.folds
np.savez(sys.argv[1], **found)
"""


def test_eight_devices_give_what_one_gives(tmp_path):
    path = tmp_path / "found.npz"
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", CODE, str(path)], check=True, env=environment)
    with np.load(path) as found:
        for devices in ("81", "84"):
            np.testing.assert_allclose(found["fitness" + devices], found["fitness11"], rtol=1e-5)
            np.testing.assert_allclose(found["moments" + devices], found["moments11"], rtol=1e-5, atol=1e-4)
            # Ridge, held-out error and CKA; the kernels themselves are free where a feature has next to no variance.
            np.testing.assert_allclose(found["fits" + devices], found["fits11"], rtol=1e-4, atol=1e-4)
