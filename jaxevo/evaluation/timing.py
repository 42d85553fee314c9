"""How long a network really takes, measured on this machine."""

import statistics
import time

import jax
import jax.numpy as jnp

from jaxevo.checks import check_network, check_size
from jaxevo.evaluation.metrics import Metric
from jaxevo.network import Network, PyTree, batched, check_inputs


def latency_ms(network: Network, inputs: PyTree, repeats: int = 10) -> float:
    """Measures how long a compiled network takes for a batch.

    Args:
      network: the network.
      inputs: pytree of arrays [B, ...], as `network.inputs` describes one example.
      repeats: measurements after a call that compiles, at least 1.

    Returns:
      The median in milliseconds.

    Raises:
      TypeError, ValueError: where the inputs do not fit the network, or repeats is below 1.
    """
    check_network("latency_ms", "network", network)
    check_inputs(f"latency_ms of {network.name!r}", network.inputs, inputs)
    check_size("latency_ms", "repeats", repeats)
    run = jax.jit(network.apply)
    params, inputs = jax.device_put((network.params, inputs))
    jax.block_until_ready(run(params, inputs))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run(params, inputs))
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def latency(batch: int = 1, repeats: int = 20) -> Metric:
    """Makes the metric of the measured time that a decoded network takes for a batch, in milliseconds.

    It compiles every network that it measures, and what it measures is noise from one run to the next: a run that it
    steers cannot be repeated to the bit.

    Args:
      batch: examples at a time, at least 1; they are zeros.
      repeats: measurements after a call that compiles, of which the median counts, at least 1.

    Returns:
      The metric, named "latency", or "latency_N" for batches of N; smaller is better: in a fitness, write `-latency()`.

    Raises:
      ValueError: where an argument is not as above.
    """
    for name, value in (("batch", batch), ("repeats", repeats)):
        check_size("latency", name, value)

    def measure(network: Network) -> float:
        inputs = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), batched(network.inputs, batch))
        return latency_ms(network, inputs, repeats)

    return Metric("latency" if batch == 1 else f"latency_{batch}", False, "network", measure=measure)
