"""Programs that are compiled with less optimisation are those that JAX would run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import programs


@pytest.mark.smoke
@pytest.mark.parametrize("level", [programs.ONCE, programs.OFTEN])
def test_options_are_those_that_this_release_knows(level):
    options = programs.compiler_options(level)
    assert options["xla_backend_optimization_level"] == level
    values = jnp.linspace(-2, 2, 40).reshape(8, 5)
    compiled = jax.jit(lambda x: jnp.tanh(x @ x.T).sum(1), compiler_options=options)
    np.testing.assert_allclose(compiled(values), np.tanh(values @ values.T).sum(1), rtol=1e-5, atol=1e-6)


@pytest.mark.smoke
def test_an_option_that_this_release_does_not_take_is_left_out():
    assert programs.takes("xla_backend_optimization_level", 1)
    assert not programs.takes("xla_cpu_of_no_release", True)
    assert not programs.takes("xla_backend_optimization_level", "high")


def test_a_brief_program_is_part_of_the_one_around_it():
    @programs.briefly(0)
    def scaled(factor, x):
        return factor * x

    assert scaled(3, jnp.float32(2)) == 6
    assert jax.jit(lambda x: scaled(3, x) + 1)(jnp.float32(2)) == 7
    with pytest.raises(TypeError):
        scaled(3)


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_numbers_are_folded_into_a_key_as_jax_does(impl):
    key = jax.random.key(3, impl=impl)
    wanted = [jax.random.key_data(jax.random.fold_in(key, number)) for number in range(3)]
    for number in range(3):
        np.testing.assert_array_equal(jax.random.key_data(programs.fold_in(key, number)), wanted[number])
    np.testing.assert_array_equal(jax.random.key_data(programs.numbered_keys(key, 3)), wanted)
    apart = programs.split_key(key, 3)
    assert [one.shape for one in apart] == [()] * 3
    np.testing.assert_array_equal([jax.random.key_data(one) for one in apart], wanted)
