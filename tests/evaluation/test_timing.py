import jax
import jax.numpy as jnp
import pytest

from jaxevo.evaluation import latency_ms
from jaxevo.network import Network


def test_latency_is_measured_in_milliseconds_after_compiling_once():
    traced = []

    def apply(params, inputs):
        traced.append(inputs.shape)
        return inputs @ params

    network = Network(apply, jnp.eye(4), jax.ShapeDtypeStruct((4,), jnp.float32))
    assert 0 < latency_ms(network, jnp.ones((8, 4)), repeats=3) < 1000
    assert traced == [(8, 4)]


@pytest.mark.parametrize(
    ("shape", "repeats", "message"), [((8, 3), 1, "inputs have shape"), ((8, 4), 0, "repeats is 0")]
)
def test_wrong_arguments_are_refused_before_anything_is_compiled(shape, repeats, message):
    def apply(params, inputs):
        raise AssertionError("it was compiled")

    network = Network(apply, jnp.eye(4), jax.ShapeDtypeStruct((4,), jnp.float32))
    with pytest.raises(ValueError, match=message):
        latency_ms(network, jnp.ones(shape), repeats=repeats)
