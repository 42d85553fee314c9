"""Sparse heads: what is left out stays zero, all forms agree, and a decoded head is really smaller."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxevo import pruning, to_onnx, trace, training
from jaxevo.pruning.heads.patterns import Pattern
from tests.pruning.tasks import CLASSES, FEATURES, TRAIN, VALID
from tests.spaces import check_space, relative

ONE, TWO = (pruning.head(FEATURES, CLASSES, hidden) for hidden in ((30,), (30, 20)))

SPACES = {
    "neurons": lambda: pruning.neurons(TWO),
    "features": lambda: pruning.neurons(ONE, "features", multiple=3),
    "connections": lambda: pruning.connections(TWO),
}


def members(space, count=4, seed=1):
    genomes = space.sample(jax.random.key(seed), count)
    return jax.vmap(space.init)(jax.random.split(jax.random.key(2), count), genomes)


def one_of(stacked, index):
    return jax.tree.map(lambda leaf: np.asarray(leaf[index]), stacked)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.smoke] if name == "features" else []) for name in SPACES]
)
def test_all_ways_to_run_a_sparse_head_agree(name):
    # At this seed no genome keeps everything.
    check_space(SPACES[name](), VALID, members=2, seed=1)


@pytest.mark.parametrize("name", SPACES)
def test_what_is_left_out_is_zero_and_stays_zero_under_decay(name):
    space = SPACES[name]()
    learner = training.learner(space, training.cross_entropy, optax.adamw(1e-2, weight_decay=0.1))
    fit = training.population(space, learner, TRAIN, epochs=2, batch=16, compact=False)
    begun = members(space)
    trained = fit(jax.random.key(3), begun).members
    for before, after in zip(jax.tree.leaves(begun.params), jax.tree.leaves(trained.params), strict=True):
        # Biases begin with zero as well: only kernels tell what is left out.
        zero = np.asarray(before) == 0
        assert before.ndim == 2 or (np.asarray(after)[zero] == 0).all()
        assert before.ndim == 2 or not np.array_equal(before, after)
    for index in range(4):
        one = one_of(trained, index)
        small = space.learning.compact(one)
        again = space.learning.expand(small, one)
        jax.tree.map(np.testing.assert_array_equal, one.params, again.params)


@pytest.mark.parametrize("name", SPACES)
def test_a_compacted_member_answers_as_the_masked_one(name):
    space = SPACES[name]()
    for index in range(4):
        one = one_of(members(space), index)
        small = space.learning.compact(one)
        assert isinstance(small.genome, Pattern)
        masked, cut = (space.learning.forward(member, VALID.inputs, None, False)[0] for member in (one, small))
        assert relative(cut, masked) <= 1e-5


def test_decode_makes_smaller_arrays_whose_widths_are_rounded_up_on_request():
    genome = np.zeros(30, bool)
    genome[[3, 7, 8, 20, 29]] = True
    whole = sum(leaf.size for leaf in jax.tree.leaves(ONE.init(jax.random.key(0))[0]))
    for multiple, width in ((1, 5), (4, 8)):
        space = pruning.neurons(ONE, multiple=multiple)
        network = space.decode(space.params, genome)
        assert network.params[0]["kernel"].shape == (FEATURES, width)
        assert trace(network).parameters == FEATURES * width + width + width * CLASSES + CLASSES < whole
        masked = space.apply(space.params, genome, VALID.inputs)
        assert relative(network(VALID.inputs), masked) <= 1e-5


def test_a_pruning_that_changes_nothing_is_refused():
    for space in (pruning.neurons(ONE), pruning.connections(ONE)):
        genome = np.ones_like(space.sample(jax.random.key(0), 1)[0])
        with pytest.raises(ValueError, match="genome leaves out nothing of 'head'"):
            space.decode(space.params, genome)
    coarse = pruning.neurons(ONE, multiple=32)
    with pytest.raises(ValueError, match="multiple of 32"):
        coarse.decode(coarse.params, np.arange(30) < 3)


def test_a_unit_that_reaches_nothing_is_left_out_as_a_whole():
    space = pruning.connections(pruning.head(2, 2, (2, 2)))
    # Layer 1: both features reach unit 0 alone. Layer 2: unit 1, which nothing reaches, reaches unit 1.
    genome = np.array([1, 0, 1, 0, 0, 0, 0, 1], bool)
    assert not np.asarray(space.canonical(genome)).any()
    outputs = space.apply(space.params, genome, np.ones((1, 2), np.float32))
    np.testing.assert_array_equal(outputs, space.apply(space.params, genome, -np.ones((1, 2), np.float32)))


def test_densities_are_drawn_from_the_whole_unit_interval_and_no_group_is_empty():
    space = pruning.neurons(pruning.head(4, 2, (400, 3)))
    genomes = np.asarray(space.sample(jax.random.key(0), 200))
    shares = genomes[:, :400].mean(axis=1)
    assert np.histogram(shares, 4, (0, 1))[0].min() >= 30
    assert genomes[:, 400:].any(axis=1).all()


def test_offspring_take_each_bit_from_a_parent_or_flip_it():
    space = pruning.neurons(pruning.head(4, 2, (300,)), mutation=0.02)
    a, b = np.split(np.asarray(space.sample(jax.random.key(0), 20)), 2)
    child = np.asarray(space.vary(jax.random.key(1), a, b))
    agreed = a == b
    assert 0 < (child != a)[agreed].mean() < 0.05
    assert 0.4 < (child == a)[~agreed].mean() < 0.6
    twins = np.asarray(pruning.neurons(ONE, mutation=0.0).vary(jax.random.key(1), a[:, :30], a[:, :30]))
    assert ((twins != a[:, :30]).sum(axis=1) <= 2).all()
    assert (twins != a[:, :30]).any(axis=1).all()


def test_members_start_from_given_parameters():
    params = ONE.init(jax.random.key(7))[0]
    space = pruning.neurons(ONE, start=params)
    member = space.init(jax.random.key(0), jnp.arange(30) < 4)
    np.testing.assert_array_equal(member.params[0]["kernel"][:, :4], params[0]["kernel"][:, :4])
    with pytest.raises(ValueError, match="start has arrays"):
        pruning.neurons(TWO, start=params)


def test_active_share_counts_bits():
    space = pruning.neurons(ONE)
    assert float(pruning.active_share.measure(space, np.arange(30) < 6)) == pytest.approx(0.2)


def test_a_decoded_head_leaves_as_onnx(tmp_path):
    pytest.importorskip("onnxruntime")
    import onnxruntime

    space = pruning.neurons(ONE, "features")
    network = space.decode(space.params, np.arange(FEATURES) % 3 == 0)
    to_onnx(network, tmp_path / "head.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "head.onnx"), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: VALID.inputs})[0]
    assert relative(found, np.asarray(network(VALID.inputs))) <= 1e-5


def test_bins_go_by_accuracy():
    bins = pruning.accuracy_bins([0.5, 0.9, 0.7, 0.9, 0.1], 2)
    assert [one.tolist() for one in bins] == [[1, 3, 2], [0, 4]]
    with pytest.raises(ValueError, match="bins is 6"):
        pruning.accuracy_bins([0.5] * 5, 6)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: pruning.head(0, 3), ValueError, "features is 0"),
        (lambda: pruning.head(3, 3, ()), ValueError, r"hidden is \(\)"),
        (lambda: pruning.neurons(3), TypeError, "make one with pruning.head"),
        (lambda: pruning.neurons(ONE, "units"), ValueError, "prune is 'units'"),
        (lambda: pruning.neurons(ONE, mutation=2), ValueError, "mutation is 2"),
        (lambda: pruning.connections(ONE, multiple=0), ValueError, "multiple is 0"),
    ],
)
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
