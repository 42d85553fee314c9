"""Similarity and coverage: what they promise."""

import math

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies as st

import jaxevo
from jaxevo import transfer
from jaxevo.transfer.layers.structure import table
from tests.networks import KINDS, build
from tests.transfer.small import attention, chain

GRAPHS = [
    jaxevo.trace(build(0, channels, blocks))
    for channels, blocks in (
        (4, ("plain",)), (8, ("residual", "stride")), (4, ("depthwise", "squeeze")), (8, ("attention", "branch")),
        (4, ("recurrent", "grouped", "stride", "plain")),
    )
]  # fmt: skip


@pytest.mark.smoke
@hypothesis.given(st.sampled_from(GRAPHS), st.sampled_from(GRAPHS))
def test_similarity_is_symmetric_and_both_measures_lie_between_0_and_1(one, other):
    there, back = transfer.align(one, other), transfer.align(other, one)
    assert there.similarity == pytest.approx(back.similarity)
    for alignment in (there, back):
        assert 0 <= alignment.similarity <= 1
        assert 0 <= alignment.coverage <= 1
    assert (there.similarity == 1) == (one is other)


@pytest.mark.parametrize("kind", KINDS)
def test_similarity_of_a_network_with_itself_is_1(kind):
    network = build(0, 4, (kind, "stride"))
    assert transfer.similarity(network, network) == transfer.coverage(network, network) == 1


def test_gates_and_normalisations_are_not_on_the_main_path():
    plain = chain((4, 4, 4), residual=True)
    assert transfer.similarity(plain, chain((4, 4, 4), residual=True, gate=True)) == 1
    assert transfer.similarity(plain, chain((4, 4, 4), residual=True, normalise=True)) == 1


def test_coverage_is_1_where_the_source_contains_the_target():
    shallow, deep = chain((4, 4, 4), residual=True), chain((4, 4, 4, 4, 4), residual=True)
    assert transfer.coverage(deep, shallow) == 1
    assert transfer.similarity(deep, shallow) == pytest.approx(math.sqrt(4 / 6))
    assert transfer.coverage(shallow, deep) == pytest.approx(4 / 6)


def test_the_score_of_a_pair_is_the_product_of_the_ratios_of_its_axes():
    (stem, second, head) = transfer.align(chain((4, 6)), chain((8, 6), sides=(3, 5))).pairs
    assert stem.score == pytest.approx(4 / 8)
    assert second.score == pytest.approx(4 / 8 * (3 / 5) ** 2)
    assert head.score == 1


def test_an_octave_of_resolution_halves_the_score():
    one, other = (transfer.blocks(jaxevo.trace(network)).main for network in (chain((4, 4), stride=2), chain((4, 4))))
    np.testing.assert_allclose(np.diag(table(one, other)), [1, 0.5, 1])


def test_queries_keys_and_values_in_one_product_are_those_in_three():
    assert transfer.similarity(attention(8, 2, fused=True), attention(8, 2, fused=False)) == 1


def test_a_ranking_is_by_similarity_and_takes_networks_graphs_and_trainables():
    target = chain((4, 4, 4), residual=True)
    sources = [chain((16, 16), name="wide"), jaxevo.trace(chain((4, 4, 4), residual=True, name="same"))]
    ranking = transfer.rank(sources, jaxevo.as_trainable(target))
    assert [one.network.name for one in ranking] == ["same", "wide"]
    assert ranking[0].similarity == ranking[0].coverage == 1
    assert ranking[1].alignment.target.graph.name == target.name


def test_random_matching_draws_from_its_key():
    graph = jaxevo.trace(chain((4, 4, 4, 4)))

    def sources(seed):
        alignment = transfer.align(graph, graph, match=transfer.random_match(jax.random.key(seed)))
        assert len(alignment.pairs) == len(alignment.target.main)
        return [pair.source.name for pair in alignment.pairs]

    assert sources(0) == sources(0)
    assert any(sources(0) != sources(seed) for seed in range(1, 5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: transfer.align(net.params, net), "align: source is a dict"),
        (lambda net: transfer.rank([], net), "rank: sources is empty"),
        (lambda net: transfer.rank(net, net), "rank: sources is a Network"),
        (lambda net: transfer.rank([net, 3], net), "rank: source 1 is a int"),
    ],
)
def test_what_is_no_network_is_refused(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call(chain((4,)))
