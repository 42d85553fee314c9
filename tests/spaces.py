"""The suite that every space passes: rule 3 of the library, and what search relies on."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo import evaluation
from jaxevo.data import Split
from jaxevo.graph import trace
from jaxevo.space import Space


def check_space(space: Space, split: Split, *, members: int = 4, seed: int = 0) -> None:
    """Asserts that all ways to run the networks of a space agree, and that its functions keep their promises."""
    sample, mate, vary = jax.random.split(jax.random.key(seed), 3)
    genomes = space.sample(sample, members)
    children = space.vary(vary, genomes, space.sample(mate, members))
    assert jax.tree.structure(children) == jax.tree.structure(genomes)
    for child, genome in zip(jax.tree.leaves(children), jax.tree.leaves(genomes), strict=True):
        assert child.shape == genome.shape
        assert child.dtype == genome.dtype
    # Every network is compiled: the first half of the genomes and the last of the children stand for all.
    population = jax.tree.map(lambda a, b: jnp.concatenate([a[: members // 2], b[members // 2 :]]), genomes, children)
    _check_networks_agree(space, split, population)
    _check_evaluations_agree(space, split, population)


def _check_networks_agree(space, split, genomes):
    apply = jax.jit(space.apply)
    for index in range(len(jax.tree.leaves(genomes)[0])):
        genome = jax.tree.map(lambda leaf, i=index: leaf[i], genomes)
        expected = np.asarray(apply(space.params, genome, jnp.asarray(split.inputs)))
        network = space.decode(space.params, jax.tree.map(np.asarray, genome))
        assert relative(network(split.inputs), expected) <= 1e-5
        canonical = space.canonical(genome)
        assert relative(apply(space.params, canonical, jnp.asarray(split.inputs)), expected) <= 1e-5
        graph, cost = trace(network), space.cost(jax.tree.map(np.asarray, genome))
        assert (graph.multiply_adds, graph.parameters) == (int(cost.multiply_adds), int(cost.parameters))


def _check_evaluations_agree(space, split, genomes):
    metrics = [-evaluation.nll, -evaluation.multiply_adds]
    _, expected = evaluation.population(space, split, metrics, batch=16)(None, space.params, genomes)
    if space.work is not None:
        evaluate = evaluation.shared(space, split, metrics, batch=16)
        _, fitness = evaluate(None, space.params, genomes)
        np.testing.assert_allclose(fitness, expected, rtol=1e-5)


def relative(outputs, expected) -> float:
    """Largest difference over the largest magnitude."""
    return float(np.max(np.abs(np.asarray(outputs) - expected)) / np.max(np.abs(expected)))
