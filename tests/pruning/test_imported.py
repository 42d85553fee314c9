"""Networks that came in through ONNX are pruned like any other: residual, squeeze-and-excite, attention."""

import collections

import numpy as np
import pytest

import jaxevo
from experiments.importing.sources import sources
from jaxevo import pruning, trace
from jaxevo.pruning.axes.dependencies import KINDS
from tests.spaces import relative

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

#: Groups by kind, as the architecture says.
EXPECTED = {
    # A stem, two groups within each of 16 blocks, a residual stream for each stage.
    "resnet50": {"channel": 37},
    # Streams and expansions; the neurons of nine gates are 1x1 convolutions.
    "mobilenetv3_small_100": {"channel": 27},
    # Twelve blocks, each with heads, dimensions of queries and keys, of values, and hidden neurons.
    "vit_tiny_patch16_224": {"head": 12, "dimension": 12, "neuron": 12},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_masked_and_compacted_imports_agree(name, tmp_path):
    # timm does not import beside every release of torch.
    pytest.importorskip("timm", exc_type=(ImportError, RuntimeError))
    source = next(source for source in sources() if source.name == name)
    network = jaxevo.from_onnx(source.write(tmp_path))
    space = pruning.channels(network, kinds=KINDS)
    assert collections.Counter(group.kind for group in space.apply.groups) == EXPECTED[name]
    genome = pruning.keep(space, pruning.magnitude(space), 0.6)
    child, cost = space.decode(space.params, genome), space.cost(genome)
    graph, before = trace(child), trace(network)
    assert (graph.multiply_adds, graph.parameters) == (cost.multiply_adds, cost.parameters)
    assert graph.multiply_adds < 0.75 * before.multiply_adds
    assert graph.parameters < 0.75 * before.parameters
    pictures = np.random.default_rng(0).standard_normal((2, *network.inputs.shape)).astype(np.float32)
    small, masked = np.asarray(child(pictures)), np.asarray(space.apply(space.params, genome, pictures))
    assert relative(small, masked) <= 1e-5
    assert np.abs(small).max() > 0
