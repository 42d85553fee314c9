"""Parts of networks whose convolutions are rewritten for a platform."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxevo import graph

KEYS = jax.random.split(jax.random.key(0), 3)
LEAVES = {"deep": jax.random.normal(KEYS[0], (6, 1, 3, 3)), "point": jax.random.normal(KEYS[1], (5, 6, 1, 1))}
X = jax.random.normal(KEYS[2], (2, 6, 7, 9))


def part(leaves, variant, x):
    numbers = ("NCHW", "OIHW", "NCHW")
    deep = lax.conv_general_dilated(x, leaves["deep"], (2, 2), "SAME", dimension_numbers=numbers, feature_group_count=6)
    point = lax.conv_general_dilated(jax.nn.relu(deep), leaves["point"], (1, 1), "SAME", dimension_numbers=numbers)
    return {"deep": deep, "point": point}


def convolutions(function):
    return str(jax.make_jaxpr(function)(LEAVES, (), X)).count("conv_general_dilated")


def test_a_part_gives_the_same_values_without_convolutions_on_a_cpu():
    quick = graph.accelerated(part, "cpu")
    assert (convolutions(part), convolutions(quick)) == (2, 0)
    found, wanted = jax.jit(quick)(LEAVES, (), X), part(LEAVES, (), X)
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-5 * jnp.abs(wanted[name]).max())


def test_elsewhere_a_part_stays_as_it_is():
    assert graph.accelerated(part, "tpu") is part
    with pytest.raises(ValueError, match=r"accelerated: platform is 'abacus', expected one of 'cpu'"):
        graph.accelerated(part, "abacus")
