"""How long a network takes."""

import statistics
import time

import jax

from jaxevo.network import Network


def latency_ms(network: Network, inputs: jax.Array, repeats: int = 10) -> float:
    """Measures a compiled network on one batch.

    Args:
      network: the network.
      inputs: a batch of inputs.
      repeats: measurements after the first call, which compiles.

    Returns:
      The median in milliseconds.
    """
    run, params = jax.jit(network.apply), jax.device_put(network.params)
    inputs = jax.device_put(inputs)
    jax.block_until_ready(run(params, inputs))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run(params, inputs))
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)
