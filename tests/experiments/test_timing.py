import jax
import jax.numpy as jnp

from experiments.timing import latency_ms
from jaxevo.network import Network


def test_latency_is_measured_in_milliseconds_after_compiling_once():
    traced = []

    def apply(params, inputs):
        traced.append(inputs.shape)
        return inputs @ params

    network = Network(apply, jnp.eye(4), jax.ShapeDtypeStruct((4,), jnp.float32))
    assert 0 < latency_ms(network, jnp.ones((8, 4)), repeats=3) < 1000
    assert traced == [(8, 4)]
