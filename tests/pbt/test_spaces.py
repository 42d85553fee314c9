"""A space of layers keeps the promises of every space: costs, decoded networks, canonical genomes, clear errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import pbt, to_onnx
from jaxevo.graph import trace
from jaxevo.pbt import costs
from tests.pbt.architectures import KEY, adversaries, close, everything, genome, stirred

ARCHITECTURE = everything()
SPACE = pbt.layers(ARCHITECTURE)
INPUTS = np.random.default_rng(0).normal(size=(3, 6, 6, 2)).astype(np.float32)

#: Between them every operation, with and without what surrounds it.
GENOMES = [
    genome(ARCHITECTURE, first_normalisation="instance", first_skip=True),
    genome(ARCHITECTURE, first_operation="dilated3", first_width=6, strided_operation="skip", strided_width=4),
    genome(ARCHITECTURE, first_operation="conv1", strided_operation="none", enlarging_operation="conv3"),
    genome(ARCHITECTURE, strided_operation="dilated5", strided_normalisation="none", hidden_normalisation="batch"),
]


@functools.cache
def member(index):
    begun = jax.jit(SPACE.init)(jax.random.key(index), GENOMES[index])
    return stirred(ARCHITECTURE, begun, index)._replace(genome=GENOMES[index])


@functools.cache
def decoded(index):
    return SPACE.network(member(index))


apply = jax.jit(SPACE.apply)


@pytest.mark.parametrize("index", range(len(GENOMES)))
def test_a_decoded_network_is_the_member_and_costs_what_the_space_says(index):
    one = member(index)
    expected = apply({"params": one.params, "state": one.state}, one.genome, INPUTS)
    close(decoded(index)(INPUTS), expected)
    graph = trace(decoded(index))
    for cost in (SPACE.cost(one.genome), jax.jit(SPACE.cost)(one.genome)):
        count = int(cost.multiply_adds), int(cost.parameters)
        if _choice(one.genome, "strided") != "none":
            assert count == (graph.multiply_adds, graph.parameters)
        else:
            # A trace leaves out what comes before zeros, and what they are multiplied with.
            assert graph.multiply_adds == 0
            assert count[1] == sum(leaf.size for leaf in jax.tree.leaves(decoded(index).params))
    assert all(leaf.size for leaf in jax.tree.leaves(decoded(index).params))


def test_costs_count_beyond_what_32_bits_hold():
    wide = pbt.chain(
        [pbt.Convolution(name, 512, ("conv5",), (256, 512)) for name in ("one", "two")],
        jax.ShapeDtypeStruct((64, 64, 512), jnp.float32),
    )
    chosen = np.ones(2, np.int32)
    expected = 2 * 25 * 512 * 512 * 64 * 64
    assert costs.cost(wide, chosen).multiply_adds == expected > 2**31
    np.testing.assert_allclose(costs.cost(wide, jnp.asarray(chosen)).multiply_adds, expected, rtol=1e-6)


@pytest.mark.parametrize("index", [1, 2])
def test_onnxruntime_gives_what_a_decoded_network_gives(index):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = to_onnx(decoded(index)).SerializeToString()
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    close(session.run(None, {session.get_inputs()[0].name: INPUTS})[0], decoded(index)(INPUTS))


@pytest.mark.parametrize("base", GENOMES, ids=range(len(GENOMES)))
def test_genomes_are_canonically_equal_where_they_decode_to_one_network(base):
    def text(chosen):
        # Full-size arrays in, so that cutting is part of what is compared.
        network = SPACE.decode(SPACE.params, chosen)
        return str(jax.make_jaxpr(network.apply)(network.params, INPUTS))

    neighbours = [base]
    for place, gene in enumerate(ARCHITECTURE.genes):
        neighbours.append(np.array(base))
        neighbours[-1][place] = (base[place] + 1) % len(gene.options)
    canonical = SPACE.canonicals(np.stack(neighbours))
    np.testing.assert_array_equal(canonical, jax.vmap(SPACE.canonical)(canonical))
    silent = [text(one) == text(base) for one in neighbours]
    assert [np.array_equal(one, canonical[0]) for one in canonical] == silent
    plain = [layer for layer in ("strided", "enlarging") if str(_choice(base, layer)) in ("none", "skip")]
    assert sum(silent) == 1 + sum(3 if layer == "strided" else 2 for layer in plain)


def _choice(chosen, layer):
    choice = ARCHITECTURE.choices(chosen)[layer]["operation"]
    return choice.options[choice.index]


@pytest.mark.parametrize("count", [4, 9])
def test_a_sample_holds_every_option_equally_often(count):
    genomes = np.asarray(SPACE.sample(KEY, count))
    assert genomes.shape == (count, len(ARCHITECTURE.genes))
    assert genomes.dtype == np.int32
    for column, gene in zip(genomes.T, ARCHITECTURE.genes, strict=True):
        times = np.bincount(column, minlength=len(gene.options))
        assert times.min() >= count // len(gene.options)
        assert len(times) == len(gene.options)
    assert len(np.unique(genomes, axis=0)) > count // 2
    assert not np.array_equal(genomes, SPACE.sample(jax.random.key(1), count))


def test_offspring_take_each_layer_from_one_parent():
    a, b = np.zeros((200, len(ARCHITECTURE.genes)), np.int32), np.ones((200, len(ARCHITECTURE.genes)), np.int32)
    children = np.asarray(SPACE.vary(KEY, a, b))
    for layer in range(len(ARCHITECTURE.layers)):
        genes = children[:, ARCHITECTURE.owners == layer]
        assert (genes == genes[:, :1]).all()
        # A quarter, within four standard deviations.
        assert not genes.size or abs(genes[:, 0].mean() - 0.25) < 4 * np.sqrt(0.1875 / 200)


def convolution(**changes):
    return pbt.Convolution(**({"name": "layer", "reads": 3, "operations": ("conv1", "conv3")} | changes))


def chain(*layers):
    return pbt.chain(layers, jax.ShapeDtypeStruct((4, 4, 3), jnp.float32))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: pbt.layers(SPACE), TypeError, r"layers: architecture is a Space, .*pbt\.chain"),
        (
            lambda: pbt.layers(ARCHITECTURE, shrink=-1),
            ValueError,
            "layers: shrink is -1, expected a number at least 0 and",
        ),
        (lambda: pbt.layers(ARCHITECTURE, perturb="x"), ValueError, "layers: perturb is 'x'"),
        (lambda: pbt.layers(ARCHITECTURE, shrink=float("inf")), ValueError, "layers: shrink is inf"),
        (lambda: pbt.layers(ARCHITECTURE, probability=2), ValueError, r"layers: probability is 2, .* in \[0, 1\]"),
        (lambda: chain(convolution(), "relu"), TypeError, "chain: layers holds 'relu'"),
        (lambda: chain(convolution(), convolution(reads=16)), ValueError, r"layers \['layer'\] occur twice"),
        (lambda: chain(convolution(operations=("conv3",))), ValueError, "no layer leaves a choice open"),
        (
            lambda: chain(convolution(widths=(4, 8)), convolution(name="next", reads=4)),
            ValueError,
            "'next': reads is 4, but it reads 8 channels of 'layer'",
        ),
        (lambda: convolution(operations=("conv7",)), ValueError, r"'layer': operations is \('conv7',\), .*'conv5'"),
        (lambda: convolution(activations=()), ValueError, r"'layer': activations is \(\)"),
        (lambda: convolution(normalisations="batch"), ValueError, "'layer': normalisations is 'batch', expected a t"),
        (lambda: convolution(skips=(1, 1)), ValueError, r"'layer': skips is \(1, 1\)"),
        (lambda: convolution(widths=(0, 4)), ValueError, r"'layer': widths is \(0, 4\)"),
        (lambda: convolution(stride=0), ValueError, "'layer': stride is 0"),
        (lambda: pbt.Dense("layer", 3, normalisations=("instance",)), ValueError, r"'layer': normalisations is \('in"),
        (lambda: pbt.Dense("layer", 0), ValueError, "'layer': reads is 0"),
        (
            lambda: pbt.layers(chain(convolution(stride=3, skips=(True,)))).cost(np.zeros(1, int)),
            ValueError,
            "'layer': maps of 4x4 positions, expected a multiple of its stride 3",
        ),
        (lambda: pbt.Architecture("x", {}, None, "x"), ValueError, "network is 'x', expected a tuple of its parts"),
        (lambda: pbt.game(SPACE), TypeError, "game: architecture is a Space"),
        (lambda: pbt.game(ARCHITECTURE), ValueError, "game: architecture 'chain' has parts"),
        (lambda: pbt.game(adversaries(), "generator", "judge"), ValueError, "expected 'generator' and 'judge'"),
    ],
)
def test_wrong_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
