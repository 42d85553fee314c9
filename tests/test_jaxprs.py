"""The test for captured constants finds them where they hide."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.jaxprs import captured_bytes

BIG = np.ones((1024, 512), np.float32)


def test_captured_arrays_are_found_at_the_top_in_nested_programs_and_in_loops():
    array = jnp.asarray(BIG)

    def loop(x):
        return jax.lax.scan(lambda carry, _: (carry + array.sum(), None), x, None, length=2)[0]

    for function in (lambda x: x + BIG, jax.jit(lambda x: x + array), loop, jax.jit(loop)):
        assert captured_bytes(function, jnp.float32(1)) == 2**21
    assert captured_bytes(lambda x, y: x + y, jnp.float32(1), BIG) <= 8
