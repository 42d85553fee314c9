"""The switches of a merged network as a `Space`.

A genome is an int32 vector [G]: a gene for each joined feature, in an order in which data flows (for two networks whose
cuts are joined: the first parent's switch at a pair, then the second's), then the output's. Gene 0 means a parent's own
feature, the others that of another parent through a stitch; the output's gene chooses a parent's output or an ensemble.
"""

import dataclasses
import functools
import numbers
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.graph import extract
from jaxevo.network import check_key
from jaxevo.space import Space, Work
from jaxevo.stitching.merging import Merged, check_merged
from jaxevo.stitching.naming import describe

PyTree = Any


def switches(merged: Merged, *, probability: float = 0.1) -> Space:
    """Makes the networks inside a merged network a space to search.

    Sampling sets each switch with `probability` and chooses the output uniformly. Offspring come from uniform crossover
    and mutation of each gene with probability 1/G; at least one gene that the offspring uses is mutated, since
    otherwise most offspring of small networks would be their parents again.

    Args:
      merged: the merged network.
      probability: in (0, 1], that a switch of a sampled genome takes a stitch, each that it offers as likely.

    Returns:
      The space; its `params` are those of the merged network.

    Raises:
      TypeError: where merged is no `Merged`.
      ValueError: where probability leaves (0, 1].
    """
    check_merged("switches", merged)
    if not isinstance(probability, numbers.Real) or not 0 < probability <= 1:
        raise ValueError(f"switches: probability is {probability!r}, expected a number in (0, 1]; the default is 0.1")
    graph, like = merged.graph, merged.parents[0].network

    def decode(params: PyTree, genome: jax.Array):
        genes = graph.check("decode", genome)
        offspring = extract(graph, params, genes, like)
        return dataclasses.replace(offspring, name=describe(merged, genes))

    return Space(
        name=f"switches of {merged.name}",
        params=merged.params,
        inputs=like.inputs,
        sample=functools.partial(_sample, graph.options, probability),
        vary=functools.partial(_vary, graph),
        apply=graph.apply,
        decode=decode,
        cost=graph.cost,
        canonical=graph.canonical,
        output=like.output,
        classes=like.classes,
        work=Work(graph.segments, graph.plan),
        settings={"probability": float(probability)},
    )


def unstitched(merged: Merged) -> np.ndarray:
    """Returns the genomes that use no stitch: each parent's, then each ensemble's of parents.

    Args:
      merged: the merged network.

    Returns:
      int32 [parents + ensembles, G].

    Raises:
      TypeError: where merged is no `Merged`.
    """
    check_merged("unstitched", merged)
    options = merged.graph.options
    genomes = np.zeros((options[-1], len(options)), np.int32)
    genomes[:, -1] = np.arange(options[-1])
    return genomes


def single_stitches(merged: Merged) -> np.ndarray:
    """Returns the genomes of all offspring with exactly one stitch and no vote.

    Args:
      merged: the merged network.

    Returns:
      int32 [stitches, G].

    Raises:
      TypeError: where merged is no `Merged`.
    """
    check_merged("single_stitches", merged)
    nodes, genes = merged.graph.nodes, merged.graph.switches
    found = []
    for output, parent in enumerate(merged.parents):
        for gene, node in enumerate(genes[:-1]):
            if nodes[nodes[node].reads[0]].group != parent.name:
                continue
            for option in range(1, len(nodes[node].reads)):
                genome = np.zeros(len(genes), np.int32)
                genome[gene], genome[-1] = option, output
                found.append(genome)
    return np.array(found, np.int32).reshape(-1, len(genes))


def _sample(options, probability, key, n):
    key = check_key("sample", key)
    if not isinstance(n, int) or n < 1:
        raise ValueError(f"sample: n is {n!r}, expected a whole number of at least 1, the number of genomes")
    bits, which, output = jax.random.split(key, 3)
    taken = jax.random.bernoulli(bits, probability, (n, len(options) - 1))
    stitches = jax.random.randint(which, taken.shape, 1, jnp.asarray(options[:-1]), dtype=jnp.int32)
    outputs = jax.random.randint(output, (n, 1), 0, int(options[-1]), dtype=jnp.int32)
    return jnp.concatenate([jnp.where(taken, stitches, 0), outputs], axis=1)


def _vary(graph, key, a, b):
    key = check_key("vary", key)
    options = jnp.asarray(graph.options)
    if np.shape(a) != np.shape(b) or np.shape(a)[1:] != options.shape:
        raise ValueError(
            f"vary: a and b have shapes {list(np.shape(a))} and {list(np.shape(b))}, expected [n, {len(options)}] "
            "each; stack the parents of each offspring"
        )

    def one(key, a, b):
        mix, which, used, shift = jax.random.split(key, 4)
        child = jnp.where(jax.random.bernoulli(mix, 0.5, a.shape), a, b)
        flip = jax.random.bernoulli(which, 1 / len(options), a.shape)
        reachable = graph.used_genes(child)
        sure = jax.random.categorical(used, jnp.where(reachable, 0.0, -jnp.inf))
        flip = flip.at[sure].set(flip[sure] | ~jnp.any(flip & reachable))
        # Any of the other options, each as likely.
        moved = jax.random.randint(shift, a.shape, 1, options)
        return jnp.where(flip, (child + moved) % options, child).astype(a.dtype)

    return jax.vmap(one)(jax.random.split(key, a.shape[0]), a, b)
