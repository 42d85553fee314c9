"""A space of floating-point genomes, and a sphere with its optimum away from where searches start."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo import search
from tests.search import toys


def sample(key, n):
    """Genomes around 2; the best one is 0."""
    first, second = jax.random.split(key)
    return {"a": 2 + jax.random.normal(first, (n, 2)), "b": 2 + jax.random.normal(second, (n, 1, 2))}


def space(sample=sample, **changes):
    return toys.space(name="sphere", params={}, sample=sample, vary=toys.unused, **changes)


def evaluate(key, params, genomes):
    """Minus the squared distance from the optimum; some genomes far away fail, one way or the other."""
    del key, params
    loss = jnp.square(genomes["a"]).sum(1) + jnp.square(genomes["b"]).sum((1, 2))
    loss = jnp.where(genomes["a"][:, 0] > 3.2, jnp.nan, loss)
    return genomes, jnp.where(genomes["a"][:, 1] > 3.2, -jnp.inf, -loss)[:, None]


def scanned(strategy, generations, key):
    """Runs a strategy in one compiled program."""

    @jax.jit
    def go(start, keys):
        state = search.Evolving({}, strategy.init(start))
        step = search.step(strategy, evaluate)
        return jax.lax.scan(lambda state, key: step(key, state), state, keys)

    state, metrics = go(jax.random.fold_in(key, 0), jax.random.split(jax.random.fold_in(key, 1), generations))
    return state.search, np.asarray(metrics["best"][:, 0])


def distance(genomes):
    """Distances of genomes from the optimum, [n]."""
    leaves = jax.tree.leaves(genomes)
    return np.sqrt(sum(np.square(np.reshape(leaf, (len(leaf), -1))).sum(1) for leaf in leaves))
