"""More than two parents, branches, tokens, and features of other sizes: rules 2 and 3 hold, and names say what runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxevo import stitching
from jaxevo.graph import Grid, trace
from jaxevo.space import INPUTS
from tests.networks import build, transformer
from tests.spaces import check_space, relative
from tests.stitching.merging import examples

A = build(1, 8, ("plain", "stride", "residual"), name="a")
B = build(2, 4, ("branch", "stride", "plain"), name="b")
C = build(3, 4, ("stride", "squeeze"), name="c")
WIDE = build(4, 8, ("stride", "stride", "plain"), name="wide")

FAMILIES = {
    "three": ((A, B, C), {}),
    "branches": ((A, B), {"layers": True}),
    "tokens": ((A, transformer(5, 6)), {"across": True}),
    "class tokens": ((transformer(6, 6, class_tokens=2), A), {"across": True}),
    "two grids": ((transformer(6, 6, class_tokens=1), transformer(7, 8, name="plain", depth=1)), {"across": True}),
    "sizes": ((A, WIDE), {"across": True}),
}


def merged_of(family, fitted=True):
    networks, options = FAMILIES[family]
    merged = stitching.stitch(jax.random.key(0), stitching.match(*map(trace, networks), **options))
    return stitching.fit(jax.random.key(1), merged, examples(), batch=8)[0] if fitted else merged


@pytest.mark.parametrize("family", FAMILIES)
def test_every_way_to_run_an_offspring_agrees(family):
    check_space(stitching.switches(merged_of(family), probability=0.5), examples(8), members=2)


@pytest.mark.parametrize("family", FAMILIES)
def test_with_every_switch_off_a_merged_network_equals_each_parent(family):
    merged = merged_of(family, fitted=False)
    space, x = stitching.switches(merged), examples(6).inputs
    for genome, parent in zip(stitching.unstitched(merged), FAMILIES[family][0], strict=False):
        network = space.decode(space.params, genome)
        assert relative(network(x), np.asarray(parent(x))) <= 1e-6
        assert relative(jax.jit(space.apply)(space.params, jnp.asarray(genome), x), np.asarray(parent(x))) <= 1e-5
        assert trace(network).multiply_adds == trace(parent).multiply_adds


@pytest.mark.parametrize("family", FAMILIES)
def test_every_genome_gives_an_acyclic_network_and_some_use_all_parents(family):
    merged = merged_of(family, fitted=False)
    names = []
    for genome in np.asarray(stitching.switches(merged, probability=0.5).sample(jax.random.key(0), 60)):
        names.append(stitching.describe(merged, genome))
        for place, step in enumerate(merged.graph.plan(genome)):
            assert all(INPUTS <= read < place for read in step.reads)
    assert any(all(f"{parent.name}[" in name.split(" + ")[0] for parent in FAMILIES[family][0]) for name in names)


def test_the_votes_of_three_parents_are_every_two_and_all():
    merged = merged_of("three", fitted=False)
    assert merged.votes == ((0.5, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5), (1 / 3, 1 / 3, 1 / 3))
    genomes, x = stitching.unstitched(merged), examples(6).inputs
    space = stitching.switches(merged)
    alone = [jax.nn.softmax(parent(x)) for parent in FAMILIES["three"][0]]
    for genome, weights in zip(genomes[3:], merged.votes, strict=True):
        voted = jax.nn.softmax(space.decode(space.params, genome)(x))
        expected = sum(weight * one for weight, one in zip(weights, alone, strict=True))
        np.testing.assert_allclose(voted, expected, atol=1e-6)


@pytest.mark.parametrize("class_tokens", [0, 1, 3])
def test_the_grid_of_tokens_is_read_from_the_graph(class_tokens):
    graph = trace(transformer(0, 4, class_tokens=class_tokens))
    grids = [cut.feature.grid for cut in graph.cuts if cut.feature.space == (16 + class_tokens,)]
    assert len(grids) >= 3
    assert set(grids) == {Grid(4, 4, class_tokens)}


def test_sizes_and_kinds_are_joined_only_on_request():
    first, second = trace(A), trace(transformer(5, 6))
    pairs, across = (stitching.match(first, second, across=flag).pairs for flag in (False, True))
    assert all((p.a.feature.kind, p.a.feature.space) == (p.b.feature.kind, p.b.feature.space) for p in pairs)
    assert {(p.a.feature.kind, p.b.feature.kind) for p in across} >= {("map", "tokens")}
    with pytest.raises(ValueError, match="pass across=True"):
        stitching.match(first, second, price=1.0)


def test_a_stitch_to_class_tokens_makes_them_from_the_mean_of_the_source():
    merged = merged_of("class tokens")
    stitch = next(s for s in merged.stitches if "class_kernel" in merged.params["stitches"][s.name])
    leaves = merged.params["stitches"][stitch.name]
    x = jax.random.normal(jax.random.key(0), (3, *stitch.reads.shape))
    made = stitching.apply_stitch(stitch, leaves, x)
    assert made.shape == (3, *stitch.makes.shape)
    expected = jnp.einsum("bs,snt->bnt", x.mean((1, 2)), leaves["class_kernel"]) + leaves["class_bias"]
    np.testing.assert_allclose(made[:, : expected.shape[1]], expected, rtol=1e-4, atol=1e-5)
