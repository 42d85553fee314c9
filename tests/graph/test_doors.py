"""Whatever is passed in wrongly to graphs is named in one clear error."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import graph
from jaxevo.network import Network, spec
from tests.networks import build, pictures
from tests.stitching.merging import small

X = spec(np.zeros((1, 3), np.float32))


@pytest.fixture(scope="module")
def traced():
    return graph.trace(build(0, 4, ("plain",)))


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda g: graph.draw(None), TypeError, "draw: graph is a NoneType, expected a NetworkGraph; make it with"),
        (lambda g: graph.draw(g.network), TypeError, "draw: graph is a Network"),
        (lambda g: graph.piece(g.network, (1,), (2,)), TypeError, "piece: graph is a Network"),
        (lambda g: graph.piece(g, 3, (4,)), TypeError, "piece: reads is 3, expected a tuple of numbers of values"),
        (lambda g: graph.piece(g, (3,), (999,)), TypeError, r"piece: writes is \(999,\)"),
        (lambda g: graph.multiply_adds(g), TypeError, "program is a NetworkGraph, expected a Program"),
        (lambda g: g.replay({}, pictures(0, 2)), ValueError, "params have 'block0/bias' of shape None, expected"),
        (lambda g: g.replay(g.network.params, pictures(0, 2, 9)), ValueError, r"shape \[2, 9, 9, 3\], expected"),
        (lambda g: graph.extract(g, {}, np.zeros(3), g.network), TypeError, "extract: graph is a NetworkGraph"),
    ],
)
def test_wrong_arguments_are_named(traced, call, error, message):
    with pytest.raises(error, match=message):
        call(traced)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"genome": np.zeros(3, int)}, ValueError, r"extract: genome is int64 \[3\], expected integers \[11\]"),
        ({"like": None}, TypeError, "extract: like is a NoneType, expected a jaxevo.Network"),
        ({"params": {"stitches": np.ones(3)}}, ValueError, "extract: params hold 1 leaves of 3 numbers, expected"),
    ],
)
def test_what_cannot_be_extracted_is_named(changes, error, message):
    merged = small(fitted=False)
    right = {"genome": np.zeros(11, int), "params": merged.params, "like": merged.parents[0].network}
    with pytest.raises(error, match=message):
        graph.extract(merged.graph, **(right | changes))


@pytest.mark.parametrize(
    ("network", "error", "message"),
    [
        (
            Network(lambda p, x: x @ p, jnp.ones((4, 2)), X, "n"),
            ValueError,
            "trace: apply of 'n' fails at batch size 2",
        ),
        (Network(lambda p, x: x.reshape(2, 3), {}, X, "n"), ValueError, "trace: apply of 'n' fails at batch size 3"),
        (Network(lambda p, x: x.sum(), {}, X, "n"), ValueError, "expected a leading batch axis on each"),
        (Network(lambda p, x: x.T, {}, X, "n"), ValueError, r"shapes \[\[3, 2\]\] at batch size 2"),
        (
            Network(lambda p, x: x, {"act": "relu"}, X, "n"),
            TypeError,
            "'act' in params of 'n' is 'relu', expected arrays",
        ),
    ],
)
def test_networks_that_cannot_be_traced_are_refused(network, error, message):
    with pytest.raises(error, match=message):
        graph.trace(network)
