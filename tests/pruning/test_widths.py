"""Masked and compacted networks agree, cost what the genome says, and refuse what changes nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxevo
from jaxevo import evaluation, pruning, search, trace, training
from jaxevo.pruning.axes.dependencies import KINDS
from jaxevo.space import Space
from tests import normalised
from tests.jaxprs import captured_bytes
from tests.networks import build, networks, pictures, transformer
from tests.spaces import check_space, relative
from tests.stitching.merging import examples

KEY = jax.random.key(3)

#: Every kind of block that the library's first rule lists, some behind each other.
EVERY = ("plain", "residual", "depthwise", "squeeze", "grouped", "branch", "stride", "attention", "recurrent", "plain")


def member(space: Space, seed: int = 0) -> np.ndarray:
    """A genome of the space that cuts something."""
    return np.asarray(space.sample(jax.random.key(seed), 1)[0])


@pytest.mark.smoke
def test_every_way_to_run_a_pruned_network_agrees():
    space = pruning.channels(build(1, 8, EVERY), kinds=KINDS)
    assert {group.kind for group in space.apply.groups} == {"channel", "neuron", "dimension"}
    check_space(space, examples(6), members=1)


def test_every_way_to_run_a_pruned_transformer_agrees():
    check_space(pruning.channels(transformer(0, 8, class_tokens=1), kinds=KINDS), examples(6), members=1)


@settings(max_examples=4)
@given(networks(least=2), st.integers(0, 100))
def test_drawn_networks_masked_and_compacted_agree_and_cost_less(network, seed):
    if not pruning.groups(network):
        return
    space = pruning.channels(network, kinds=KINDS)
    genome, x, before = member(space, seed), pictures(0, 3), trace(network)
    if genome.all():
        return
    child = space.decode(space.params, genome)
    graph, cost = trace(child), space.cost(genome)
    assert relative(child.apply(child.params, x), np.asarray(space.apply(space.params, genome, x))) <= 1e-5
    assert (graph.multiply_adds, graph.parameters) == (cost.multiply_adds, cost.parameters)
    assert graph.multiply_adds < before.multiply_adds
    assert graph.parameters < before.parameters


def test_a_network_of_which_all_is_kept_is_the_network():
    network, x = build(1, 8, ("residual", "grouped", "squeeze")), pictures(0, 3)
    space = pruning.channels(network)
    everything = np.ones(space.apply.offsets[-1], bool)
    assert relative(space.apply(space.params, everything, x), np.asarray(network(x))) <= 1e-6
    cost, graph = space.cost(everything), trace(network)
    assert (cost.multiply_adds, cost.parameters) == (graph.multiply_adds, graph.parameters)


def test_normalised_networks_are_cut_recalibrated_and_trained_on():
    _, _, network = normalised.linen()
    space, split = pruning.channels(network), normalised.split()
    genome = pruning.keep(space, pruning.magnitude(space), 0.5)
    child = space.decode(space.params, genome)
    assert relative(child(split.inputs), np.asarray(space.apply(space.params, genome, split.inputs))) <= 1e-5
    renewed = evaluation.recalibrate(child, split)
    assert jax.tree.map(jnp.shape, renewed.params) == jax.tree.map(jnp.shape, child.params)
    optimizer = optax.sgd(0.05)
    trainable = jaxevo.as_trainable(renewed, "batch")
    update = training.supervised(trainable, training.cross_entropy, optimizer)
    trained, history = training.fit(KEY, training.start(KEY, trainable, optimizer), update, split, epochs=4, batch=32)
    assert history[-1]["loss"] < history[0]["loss"]
    tuned = training.freeze(renewed, trained)
    assert jax.tree.structure(tuned.params) == jax.tree.structure(network.params)


def test_widths_are_rounded_up_with_units_that_count_nothing():
    network, x = build(2, 8, ("plain", "residual", "squeeze")), pictures(0, 3)
    space = pruning.channels(network, multiple=4, prune=lambda group: group.size == 8)
    genome = np.ones(space.apply.offsets[-1], bool)
    genome[[0, 8, 9, 10, 11, 12]] = False
    child, cost = space.decode(space.params, genome), space.cost(genome)
    assert [leaf.shape[-1] for path, leaf in zip(trace(child).paths, jax.tree.leaves(child.params), strict=True)
            if path in ("stem/kernel", "block0/kernel")] == [4, 8]  # fmt: skip
    assert relative(child(x), np.asarray(space.apply(space.params, genome, x))) <= 1e-5
    assert (trace(child).multiply_adds, trace(child).parameters) == (cost.multiply_adds, cost.parameters)


def test_costs_of_traced_genomes_are_exact():
    space = pruning.channels(build(1, 8, ("residual", "grouped", "branch", "squeeze")))
    genomes = space.sample(KEY, 8)
    traced = jax.jit(jax.vmap(space.cost))(genomes)
    host = [space.cost(np.asarray(genome)) for genome in genomes]
    np.testing.assert_array_equal(traced.multiply_adds, [cost.multiply_adds for cost in host])
    np.testing.assert_array_equal(traced.parameters, [cost.parameters for cost in host])


def test_genomes_have_their_own_densities_and_no_group_without_units():
    space = pruning.channels(build(1, 8, ("plain",) * 4))
    genomes = np.asarray(space.sample(KEY, 200))
    shares = genomes.mean(1)
    assert shares.min() < 0.2
    assert shares.max() > 0.9
    assert np.abs(np.mean(shares) - 0.5) < 0.1
    children = np.asarray(space.vary(KEY, genomes, genomes[::-1]))
    for population in (genomes, children):
        assert all(part.any(1).all() for part in np.split(population, space.apply.offsets[1:-1], axis=1))
    same = genomes == genomes[::-1]
    assert (children != genomes)[same].mean() < 0.1


def test_the_masked_program_captures_no_parameters():
    space = pruning.channels(build(1, 8, ("plain", "residual", "squeeze")))
    # Single numbers that stand in the network's own equations.
    assert captured_bytes(space.apply, space.params, member(space), pictures(0, 3)) <= 8


def test_a_search_reads_as_in_the_readme():
    network, split = build(1, 4, ("plain", "residual")), examples(20)
    space = pruning.channels(network)
    evaluate = evaluation.population(space, split, [evaluation.accuracy, -evaluation.multiply_adds])
    result = jaxevo.run(KEY, search.nsga2(space, population=6), evaluate, generations=2, progress=False)
    child = space.decode(space.params, jax.tree.map(lambda leaf: leaf[-1], result.front.genomes))
    assert -result.front.fitness[-1, 1] == trace(child).multiply_adds
    assert pruning.frequency(result.front.genomes).shape == (space.apply.offsets[-1],)


def test_a_child_is_pruned_again():
    space = pruning.channels(build(1, 8, ("grouped", "squeeze")))
    child = space.decode(space.params, pruning.keep(space, pruning.magnitude(space), 0.5))
    again = pruning.channels(child)
    small = again.decode(again.params, pruning.keep(again, pruning.magnitude(again), 0.5))
    assert trace(small).parameters < trace(child).parameters


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"network": 3}, TypeError, "channels: network is a int"),
        ({"kinds": "head"}, ValueError, "kinds is 'head'; expected some of"),
        ({"kinds": ("heads",)}, ValueError, r"kinds is \('heads',\)"),
        ({"kinds": ("head",)}, ValueError, r"leave no group .* there are 'stem' \(8 channels\), 'block0'"),
        ({"prune": lambda group: False}, ValueError, "leave no group"),
        ({"prune": "stem"}, TypeError, "prune is 'stem', expected a function"),
        ({"multiple": 0}, ValueError, "multiple is 0"),
        ({"mutation": 2}, ValueError, "mutation is 2, expected a probability"),
    ],
)
def test_wrong_settings_are_refused_by_name(change, error, message):
    with pytest.raises(error, match=message):
        pruning.channels(**{"network": build(1, 8, ("plain",))} | change)


def test_a_pruning_that_changes_nothing_and_genomes_that_are_none_are_refused():
    space = pruning.channels(build(1, 8, ("plain",)))
    genome = np.ones(16, bool)
    with pytest.raises(ValueError, match="cuts none of them, so that the network would stay as it is"):
        space.decode(space.params, genome)
    with pytest.raises(ValueError, match=r"genome has shape \[2, 16\], expected bool \[16\]"):
        space.decode(space.params, np.stack([genome, genome]))
    with pytest.raises(ValueError, match="genome cuts all 8 channels of 'block0'"):
        space.decode(space.params, np.arange(16) < 8)
    with pytest.raises(ValueError, match=r"expected two stacks \[n, 16\]"):
        space.vary(KEY, space.sample(KEY, 2), space.sample(KEY, 3))
    rounded = pruning.channels(build(1, 8, ("plain",)), multiple=8)
    with pytest.raises(ValueError, match="keeps all widths, rounded up to multiples of 8"):
        rounded.decode(rounded.params, np.arange(16) % 2 == 0)
