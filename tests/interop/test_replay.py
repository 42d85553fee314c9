"""Networks that came in by any door are read as graphs that replay bit for bit (rule 1)."""

import jax
import numpy as np
import pytest

from jaxevo import trace
from jaxevo.network import batched
from tests.interop.networks import PAIRS, case


@pytest.mark.parametrize(("library", "kind"), PAIRS)
def test_a_network_of_every_library_replays_bit_for_bit_at_any_batch_size(library, kind):
    network, infer, _, _ = case(library, kind)
    graph = trace(network)
    replay = jax.jit(graph.replay)
    for batch in (1, 5):
        x = jax.random.normal(jax.random.key(2), batched(network.inputs, batch).shape)
        assert np.array_equal(replay(network.params, x), network(x))
    np.testing.assert_allclose(network(x), jax.jit(infer)(x), rtol=1e-5, atol=1e-6)
    assert graph.cuts[-1].feature.kind == "vector"
    assert len(graph.layers) >= 3
