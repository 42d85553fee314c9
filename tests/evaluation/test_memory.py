"""Memory is estimated from what is alive at once."""

import jax
import jax.numpy as jnp
import pytest

from jaxevo.evaluation.memory import available_bytes, check_memory, peak_bytes


def test_the_peak_is_what_is_alive_at_once_and_not_the_sum():
    def chain(x):
        for _ in range(10):
            x = jnp.sin(x)
        return x

    assert peak_bytes(jax.make_jaxpr(chain)(jnp.ones(1000))) == 8000


def test_a_value_with_a_late_reader_stays_alive():
    def skip(x):
        kept = jnp.sin(x)
        return jnp.cos(jnp.cos(jnp.cos(kept))) + kept

    assert peak_bytes(jax.make_jaxpr(skip)(jnp.ones(1000))) == 12000


def test_the_inside_of_a_loop_counts_once():
    def loop(x):
        return jax.lax.fori_loop(0, 100, lambda _, y: jnp.outer(y, y).sum(0), x)

    assert 40_000 <= peak_bytes(jax.make_jaxpr(loop)(jnp.ones(100))) < 45_000


def test_this_machine_has_some_memory_and_not_an_exbibyte():
    device = jax.devices("cpu")[0]
    assert available_bytes(device) > 2**20
    check_memory("test", 2**20, [device], "nothing")
    with pytest.raises(ValueError, match=r"test: expects to need .* buy more"):
        check_memory("test", 2**60, [device], "buy more")
