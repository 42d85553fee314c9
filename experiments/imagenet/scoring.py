"""Scores one network on batches that lie on the devices, and adds up what it says.

B is the batch size over all devices.
"""

import functools
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxevo import evaluation, graph
from jaxevo.data import Batch
from jaxevo.evaluation.metrics import tally
from jaxevo.network import Network, batched
from jaxevo.space import Cost, Space

PyTree = Any

#: What `evaluate` reports, in order.
NAMES = ("top_1", "top_5", "nll", "ece")


class Scorer:
    """A network with its compiled step; every device runs it on its rows of a batch.

    Args:
      network: over pictures.
      mesh: devices with axes ("pop", "data").
      batch: size of a batch B.
      accelerate: compute in the way that is fastest on the platform (`graph.accelerate`).
    """

    def __init__(self, network: Network, mesh: Mesh, batch: int, accelerate: bool = True):
        self.network = graph.accelerate(network, mesh.devices.flat[0].platform) if accelerate else network
        self.mesh, self.batch = mesh, batch
        self.rows, self.whole = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
        classes = jax.eval_shape(network.apply, network.params, batched(network.inputs, 1)).shape[-1]
        best = evaluation.top_k(min(5, classes))
        metrics = (evaluation.accuracy, best, evaluation.nll, evaluation.ece())
        self.tally = tally(_alone(network), metrics)
        self.params = jax.device_put(network.params, self.whole)
        # As many zeros as the program's outputs are laid out, so that there is one program.
        self.start = jax.jit(self.tally.init, out_shardings=self.whole)
        self.step = jax.jit(
            jax.shard_map(
                self._step, mesh=mesh, in_specs=(P(), P(), P("data")), out_specs=P(), check_vma=False
            )
        )  # fmt: skip

    def _step(self, params: PyTree, state: PyTree, batch: Batch) -> PyTree:
        outputs = self.network.apply(params, batch.inputs)
        labels, mask = jnp.asarray(batch.labels), jnp.asarray(batch.mask)
        added = self.tally.update(self.tally.init(), outputs, labels, mask)
        return jax.tree.map(lambda old, new: old + jax.lax.psum(new, "data"), state, added)

    def run(self, batches: Iterable[Batch]) -> PyTree:
        """Adds batches up.

        Args:
          batches: arrays of JAX [B, ...] on the mesh.

        Returns:
          The state of the metrics, on the devices.
        """
        state = self.start()
        for batch in batches:
            before = state
            state = self.step(self.params, state, batch)
            # Calls are enqueued faster than they run: here two batches are in work, and the next is put on the devices.
            jax.block_until_ready(before)
        return jax.block_until_ready(state)

    def finish(self, state: PyTree) -> dict[str, float]:
        """Returns what the metrics are, of a state on the host."""
        found = np.asarray(self.tally.finish(jax.tree.map(jnp.asarray, state), None), np.float64)
        return dict(zip(NAMES, found.tolist(), strict=True))

    def ready(self) -> Batch:
        """Returns a batch of noise on the devices, all rows of which count."""

        @functools.partial(jax.jit, out_shardings=self.rows)
        def make():
            inputs = jax.random.normal(jax.random.key(0), (self.batch, *self.network.inputs.shape))
            return Batch(inputs, jnp.zeros(self.batch, jnp.int32), jnp.ones(self.batch, bool))  # type: ignore

        return jax.block_until_ready(make())


def _alone(network: Network) -> Space:
    """Returns the space that holds one network, as metrics want one."""
    return Space(
        network.name,
        network.params,
        network.inputs,
        sample=lambda key, n: jnp.zeros((n, 0)),  # noqa: ARG005
        vary=lambda key, a, b: a,  # noqa: ARG005
        apply=lambda params, genome, inputs: network.apply(params, inputs),  # noqa: ARG005
        decode=lambda params, genome: network,  # noqa: ARG005
        cost=lambda genome: Cost(0, 0),  # noqa: ARG005
        output=network.output,
        classes=network.classes,
    )
