import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo.search import strategy
from tests.search import toys


def test_phenotypes_are_equal_exactly_where_canonical_genomes_are():
    identify = strategy.phenotypes(toys.space(toys.last_two_are_silent))
    genomes = {"bits": (np.arange(1024)[:, None] >> np.arange(10) & 1).astype(bool)}
    identities = identify(genomes)
    assert len(np.unique(identities, axis=0)) == 256
    np.testing.assert_array_equal(identities[:256], identities[768:])


def test_genomes_may_hold_keys():
    genomes = {"key": jax.random.split(jax.random.key(0), 3), "sign": jnp.ones(3)}
    stacked = strategy.concatenate([strategy.on_host(genomes), strategy.select(genomes, np.array([0]))])
    identities = strategy.phenotypes(toys.space())(stacked)
    assert strategy.size(stacked) == 4
    assert identities[0].tolist() == identities[3].tolist() != identities[1].tolist()


def test_genomes_without_a_common_leading_axis_are_refused():
    with pytest.raises(ValueError, match="leading axes"):
        strategy.size({"a": np.zeros(3), "b": np.zeros(4)})
    with pytest.raises(ValueError, match="leading axes"):
        strategy.size(np.float32(1))


@pytest.mark.parametrize(("value", "error"), [(1.5, TypeError), (True, TypeError), (1, ValueError), (9, ValueError)])
def test_counts_are_whole_numbers_within_their_range(value, error):
    with pytest.raises(error, match=r"here: n is "):
        strategy.check_count("here", "n", value, 2, 8)
