"""Linkage: which genes belong together, learned from a population, and the subsets of genes that are mixed as one.

n is the number of genomes, G that of genes, f that of subsets, p that of pools, the parts of the population from which
linkage is learned.
"""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.cluster.hierarchy
import scipy.special


def families(genomes: np.ndarray, pools: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """Learns the linkage tree of each pool: all nodes but the root are subsets to mix.

    Args:
      genomes: int [n, G].
      pools: bool [p, n], the genomes from which each tree is learned, at least one.
      ties: int [p, G], permutations of the genes that decide between equal similarities.

    Returns:
      Subsets, bool [p, f, G], f = 2 G - 2; with one gene, that gene.

    Source: Thierens 2010, "The linkage tree genetic algorithm"; Luong, La Poutré, Bosman 2018, "Multi-objective
    Gene-pool Optimal Mixing Evolutionary Algorithm with the interleaved multi-start scheme".
    """
    hot, starts = _one_hot(genomes)
    trees = [tree(_information(hot[pool], starts), order) for pool, order in zip(pools, ties, strict=True)]
    subsets = np.stack(trees)
    return subsets[:, :-1] if genomes.shape[1] > 1 else subsets


def mutual_information(genomes: np.ndarray) -> np.ndarray:
    """Measures how much each gene tells about each other one in a population.

    Args:
      genomes: int [n, G], any number of options per gene.

    Returns:
      [G, G] in nats, at least 0; on the diagonal the entropies of the genes.
    """
    return _information(*_one_hot(genomes))


def tree(similarity: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Joins the two most similar sets of genes until one is left: UPGMA, where similarities are averaged.

    Args:
      similarity: [G, G], symmetric.
      order: int [G], a permutation of the genes that decides between equal similarities.

    Returns:
      All sets, bool [2 G - 1, G]: single genes in the order given, then the joined sets as they arise, the last one
      holds all genes.

    Source: Gronau, Moran 2007, "Optimal implementations of UPGMA and other common clustering algorithms".
    """
    genes = len(similarity)
    sets = np.zeros((2 * genes - 1, genes), bool)
    sets[np.arange(genes), order] = True
    if genes > 1:
        distance = similarity.max() - similarity[np.ix_(order, order)]
        joined = scipy.cluster.hierarchy.linkage(distance[np.triu_indices(genes, 1)], "average")
        for index, (a, b) in enumerate(joined[:, :2].astype(int)):
            sets[genes + index] = sets[a] | sets[b]
    return sets


def kernels(key: jax.Array, genomes: np.ndarray, usable: np.ndarray, neighbours: int) -> np.ndarray:
    """Finds the neighbourhood of each genome, from which its own linkage is learned.

    Two genomes are neighbours where one is among the nearest of the other by Hamming distance.

    Args:
      key: a key, which decides between equal distances.
      genomes: int [n, G].
      usable: bool [n], those that may be neighbours of others, at least one.
      neighbours: how many nearest ones each genome has besides itself, at least 1.

    Returns:
      bool [n, n]; row i marks the usable neighbours of i, with i itself where it is usable.

    Source: Guijt, Thierens, Alderliesten, Bosman 2022, "Solving multi-structured problems by introducing linkage
    kernels into GOMEA" (arXiv 2203.05970), symmetric nearest neighbours.
    """
    count = len(genomes)
    hot, _ = _one_hot(genomes)
    # Distances are whole numbers, so that draws below 1 only decide between equal ones.
    distance = genomes.shape[1] - hot @ hot.T + np.asarray(jax.random.uniform(key, (count, count), jnp.float32))
    distance[np.arange(count), np.arange(count)] = -1
    distance[:, ~usable] = np.inf
    nearest = np.argsort(distance, axis=1, kind="stable")[:, : neighbours + 1]
    near = np.zeros((count, count), bool)
    near[np.arange(count)[:, None], nearest] = True
    return (near | near.T) & usable


def _one_hot(genomes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns which option each genome has [n, options of all genes], and where the options of each gene start [G]."""
    codes = np.stack([np.unique(gene, return_inverse=True)[1] for gene in genomes.T], axis=1)
    options = codes.max(axis=0) + 1
    starts = np.cumsum(options) - options
    # Integers: products of many small matrices are several times slower by the threads of a BLAS.
    hot = np.zeros((len(genomes), options.sum()), np.int32)
    hot[np.arange(len(genomes))[:, None], codes + starts] = 1
    return hot, starts


def _information(hot: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Returns the mutual information [G, G]: H(a) + H(b) - H(a, b)."""
    terms = scipy.special.entr(hot.T @ hot / len(hot))
    joint = np.add.reduceat(np.add.reduceat(terms, starts, axis=0), starts, axis=1)
    alone = np.diag(joint)
    return np.maximum(alone[:, None] + alone[None, :] - joint, 0)
