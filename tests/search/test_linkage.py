import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from jaxevo.search import linkage
from tests.search import toys


def drawn(seed, genomes=40, genes=7, options=4):
    return np.random.default_rng(seed).integers(0, options, (genomes, genes))


def upgma(similarity):
    """Joins sets by brute force: the similarity of two sets is the mean over all pairs of genes, one of each."""
    sets = [frozenset([gene]) for gene in range(len(similarity))]
    found = set(sets)
    while len(sets) > 1:
        pairs = [(a, b) for i, a in enumerate(sets) for b in sets[:i]]
        a, b = max(pairs, key=lambda pair: similarity[np.ix_(list(pair[0]), list(pair[1]))].mean())
        sets = [one for one in sets if one not in (a, b)] + [a | b]
        found.add(a | b)
    return found


def as_sets(masks):
    return {frozenset(np.flatnonzero(mask)) for mask in masks}


@pytest.mark.parametrize("options", [2, 5])
def test_mutual_information_is_that_of_scikit_learn(options):
    genomes = drawn(0, options=options)
    expected = [[mutual_info_score(a, b) for b in genomes.T] for a in genomes.T]
    np.testing.assert_allclose(linkage.mutual_information(genomes), expected, atol=1e-12)


def test_options_may_be_any_integers():
    genomes = drawn(1, options=3)
    renamed = np.array([-7, 40, 3])[genomes]
    np.testing.assert_allclose(linkage.mutual_information(renamed), linkage.mutual_information(genomes), atol=1e-15)


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_the_tree_is_that_of_brute_force(seed, genes):
    generator = np.random.default_rng(seed)
    similarity = generator.random((genes, genes))
    similarity = similarity + similarity.T
    tree = linkage.tree(similarity, generator.permutation(genes))
    assert len(tree) == 2 * genes - 1
    assert as_sets(tree) == upgma(similarity)


def test_ties_are_decided_by_the_order():
    pairs = set()
    for seed in range(20):
        tree = linkage.tree(np.ones((4, 4)), np.random.default_rng(seed).permutation(4))
        pairs |= {one for one in as_sets(tree) if len(one) == 2}
    assert len(pairs) == 6


@pytest.mark.smoke
def test_the_blocks_of_a_deceptive_trap_are_found():
    genomes = np.random.default_rng(0).integers(0, 2, (4000, toys.GENES))
    first = toys.traps(genomes)[:, 0]
    best = genomes[np.argsort(-first)[:400]]
    pools = np.ones((1, len(best)), bool)
    (subsets,) = linkage.families(best, pools, np.arange(toys.GENES)[None])
    blocks = np.arange(toys.GENES).reshape(toys.TRAPS, toys.TRAP)
    assert {frozenset(block) for block in blocks} <= as_sets(subsets)


def test_each_pool_has_a_family_of_its_own_without_all_genes_together():
    first, second = np.zeros((16, 4), int), np.zeros((16, 4), int)
    bits = np.arange(16)[:, None] >> np.arange(2) & 1
    first[:, [0, 1]], first[:, [2, 3]] = bits[:, :1], bits[:, 1:]
    second[:, [0, 2]], second[:, [1, 3]] = bits[:, :1], bits[:, 1:]
    pools = np.repeat(np.eye(2, dtype=bool), 16, axis=1)
    families = linkage.families(np.concatenate([first, second]), pools, np.tile(np.arange(4), (2, 1)))
    assert families.shape == (2, 6, 4)
    assert {frozenset([0, 1]), frozenset([2, 3])} < as_sets(families[0])
    assert {frozenset([0, 2]), frozenset([1, 3])} < as_sets(families[1])
    assert frozenset(range(4)) not in as_sets(families[0])


def test_a_single_gene_is_a_family():
    families = linkage.families(np.array([[0], [1]]), np.ones((1, 2), bool), np.zeros((1, 1), int))
    assert families.tolist() == [[[True]]]


def test_neighbours_are_the_nearest_by_hamming_distance_one_way_or_the_other():
    genomes = drawn(3, genomes=30, options=3)
    near = linkage.kernels(jax.random.key(0), genomes, np.ones(30, bool), 4)
    distance = (genomes[:, None] != genomes[None]).sum(axis=2)
    assert np.array_equal(near, near.T)
    assert near.diagonal().all()
    assert (near.sum(axis=1) >= 5).all()
    for i, row in enumerate(distance):
        nearest = np.sort(np.delete(row, i))
        assert near[i, row < nearest[3]].all(), "whoever is nearer than the fourth is a neighbour"
        for j in np.flatnonzero(near[i]):
            other = np.sort(np.delete(distance[j], j))
            assert i == j or row[j] <= nearest[3] or row[j] <= other[3]


def test_failures_are_no_neighbours_but_have_some():
    usable = np.arange(12) % 3 > 0
    near = linkage.kernels(jax.random.key(0), drawn(4, genomes=12), usable, 3)
    assert not near[:, ~usable].any()
    assert (near.sum(axis=1) >= 3).all()
