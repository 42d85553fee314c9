"""The space of switches: rules 2 and 3, costs, canonical genomes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxevo import stitching
from jaxevo.graph import extract, trace
from jaxevo.space import INPUTS
from tests.jaxprs import captured_bytes
from tests.networks import build, networks, pictures
from tests.spaces import check_space, relative
from tests.stitching.merging import examples, merged_of, small


def test_every_way_to_run_a_stitched_network_agrees():
    check_space(stitching.switches(small(), probability=0.5), examples(20))


@settings(max_examples=3, deadline=None)
@given(networks("a", least=2, most=3), networks("b", least=2, most=3))
def test_every_way_to_run_a_stitch_of_drawn_networks_agrees(a, b):
    check_space(stitching.switches(merged_of(a, b, most=3), probability=0.5), examples(8), members=2)


@settings(max_examples=6, deadline=None)
@given(networks("a"), networks("b"))
def test_with_every_switch_off_a_merged_network_equals_each_parent(a, b):
    merged = merged_of(a, b, fitted=False)
    space = stitching.switches(merged)
    x = examples(6).inputs
    off = np.zeros(len(merged.graph.options), np.int32)
    for output, parent in enumerate((a, b)):
        off[-1] = output
        network = space.decode(space.params, off)
        expected = np.asarray(parent(x))
        assert relative(network(x), expected) <= 1e-6
        assert relative(jax.jit(space.apply)(space.params, jnp.asarray(off), x), expected) <= 1e-5
        assert trace(network).multiply_adds == trace(parent).multiply_adds


@settings(max_examples=15, deadline=None)
@given(networks("a"), networks("b"), st.integers(0, 999))
def test_every_genome_gives_an_acyclic_network(a, b, seed):
    merged = merged_of(a, b, fitted=False)
    for genome in np.asarray(stitching.switches(merged, probability=0.5).sample(jax.random.key(seed), 8)):
        for place, step in enumerate(merged.graph.plan(genome)):
            assert all(INPUTS <= read < place for read in step.reads)


def test_two_genomes_have_one_canonical_form_exactly_if_they_plan_the_same_work():
    merged = small(fitted=False)
    genomes = np.asarray(stitching.switches(merged, probability=0.4).sample(jax.random.key(3), 120))
    canonical = np.asarray(jax.vmap(merged.graph.canonical)(genomes))
    plans = {}
    for genome, form in zip(genomes, canonical, strict=True):
        plans.setdefault(merged.graph.plan(genome), set()).add(form.tobytes())
    assert all(len(forms) == 1 for forms in plans.values())
    assert len({f for forms in plans.values() for f in forms}) == len(plans) < len(genomes)


def test_an_offspring_always_differs_in_a_gene_that_it_uses_from_a_pair_of_equal_parents():
    merged = small(fitted=False)
    space = stitching.switches(merged)
    parents = space.sample(jax.random.key(0), 64)
    children = space.vary(jax.random.key(1), parents, parents)
    canonical = jax.vmap(space.canonical)
    assert not np.any(np.all(canonical(children) == canonical(parents), axis=1))
    assert np.all((np.asarray(children) >= 0) & (np.asarray(children) < merged.graph.options))


def test_traced_and_host_costs_agree():
    merged = small(fitted=False)
    genomes = stitching.switches(merged, probability=0.5).sample(jax.random.key(1), 16)
    traced = jax.jit(jax.vmap(merged.graph.cost))(genomes)
    host = [merged.graph.cost(genome) for genome in np.asarray(genomes)]
    assert list(np.asarray(traced.multiply_adds)) == [cost.multiply_adds for cost in host]
    assert list(np.asarray(traced.parameters)) == [cost.parameters for cost in host]


def test_traced_costs_of_networks_too_large_for_32_bits_are_those_of_the_host_rounded_to_float32():
    graph = small(fitted=False).graph
    nodes = tuple(dataclasses.replace(node, multiply_adds=node.multiply_adds * 10**7 + 1) for node in graph.nodes)
    large = dataclasses.replace(graph, nodes=nodes)
    genomes = stitching.switches(small(fitted=False), probability=0.5).sample(jax.random.key(1), 16)
    traced = np.asarray(jax.jit(jax.vmap(large.cost))(genomes).multiply_adds)
    host = [large.cost(genome).multiply_adds for genome in np.asarray(genomes)]
    assert min(host) > 2**31
    np.testing.assert_allclose(traced, host, rtol=2e-7)


@pytest.mark.smoke
def test_merging_linear_layers_changes_no_output_and_saves_what_it_says():
    merged = small()
    space = stitching.switches(merged)
    graph, x = merged.graph, examples(6).inputs
    assert graph.merges
    for (switch, option), merge in graph.merges.items():
        genome = np.zeros(len(graph.options), np.int32)
        genome[graph.switches.index(switch)] = option
        genome[-1] = 0 if graph.nodes[merge.after].group == "a" else 1
        like = merged.parents[0].network
        plain, short = (extract(graph, space.params, genome, like, merge=flag) for flag in (False, True))
        assert relative(short(x), np.asarray(plain(x))) <= 1e-5
        assert trace(plain).multiply_adds - trace(short).multiply_adds == merge.saved.multiply_adds > 0
        assert trace(plain).parameters - trace(short).parameters == merge.saved.parameters


def test_the_compiled_step_captures_no_large_constant():
    space = stitching.switches(small(fitted=False))
    genome = space.sample(jax.random.key(0), 1)[0]
    assert captured_bytes(space.apply, space.params, genome, examples(4).inputs) < 2**20


@pytest.mark.smoke
def test_the_name_of_an_offspring_lists_the_pieces_that_it_runs():
    merged = small(fitted=False)
    genome = np.zeros(len(merged.graph.options), np.int32)
    n = len(merged.pairs)
    assert stitching.describe(merged, genome) == f"a[0-{n}]"
    genome[0] = 1
    assert stitching.describe(merged, genome) == f"b[0]>a[1-{n}]"
    genome[-1] = 2
    assert stitching.describe(merged, genome) == f"b[0]>a[1-{n}] + b[0-{n}]"


@pytest.mark.parametrize(
    ("genome", "message"),
    [
        (np.zeros(3, np.int32), r"genome is int32 \[3\], expected integers"),
        (np.zeros(5, np.float32), "genome is float32"),
        ("off", "genome is <U3"),
    ],
)
def test_a_genome_that_does_not_fit_is_refused(genome, message):
    space = stitching.switches(small(fitted=False))
    with pytest.raises(ValueError, match=message):
        space.decode(space.params, genome)


def test_a_gene_out_of_range_is_named():
    merged = small(fitted=False)
    genome = np.zeros(len(merged.graph.options), np.int32)
    genome[1] = 7
    with pytest.raises(ValueError, match="gene 1 of the genome is 7, expected 0 to 1"):
        stitching.switches(merged).decode(merged.params, genome)


def test_a_probability_out_of_range_is_refused():
    with pytest.raises(ValueError, match="probability is 0"):
        stitching.switches(small(fitted=False), probability=0)


def test_parents_of_half_precision_are_stitched_in_theirs():
    def halved(network):
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), network.params)
        inputs = jax.ShapeDtypeStruct(network.inputs.shape, jnp.bfloat16)
        return dataclasses.replace(network, params=params, inputs=inputs)

    a, b = build(1, 8, ("plain", "stride"), name="a"), build(2, 4, ("plain", "stride"), name="b")
    x = pictures(0, 4)
    half, full = (merged_of(*map(change, (a, b)), fitted=False) for change in (halved, lambda network: network))
    space = stitching.switches(half)
    assert any(half.graph.merged(genome) for genome in np.asarray(space.sample(jax.random.key(0), 20)))
    for genome in np.asarray(space.sample(jax.random.key(1), 6)):
        made = half.graph.apply(half.params, jnp.asarray(genome), jnp.asarray(x, jnp.bfloat16))
        decoded = space.decode(half.params, genome)(jnp.asarray(x, jnp.bfloat16))
        expected = np.asarray(full.graph.apply(full.params, jnp.asarray(genome), x))
        assert made.dtype == decoded.dtype == jnp.bfloat16
        for found in (made, decoded):
            np.testing.assert_allclose(np.asarray(found, np.float32), expected, atol=0.1 * np.abs(expected).max())


def test_parents_that_hold_the_same_arrays_are_not_tied():
    a = build(1, 8, ("plain", "stride"), name="a")
    merged = merged_of(a, dataclasses.replace(a, name="b"), fitted=False)
    space = stitching.switches(merged, probability=0.5)
    for genome in np.asarray(space.sample(jax.random.key(0), 12)):
        held = sum(leaf.size for leaf in jax.tree.leaves(space.decode(space.params, genome).params))
        assert held == int(space.cost(genome).parameters)


def test_offspring_with_one_stitch_use_exactly_one():
    merged = small()
    genomes, graph = stitching.single_stitches(merged), merged.graph
    for genome in genomes:
        assert [graph.nodes[i].group for i in graph.path(genome)].count("stitch") == 1
    distinct = {tuple(stitching.switches(merged).canonical(genome).tolist()) for genome in genomes}
    assert len(distinct) == len(genomes) == len(merged.stitches)
