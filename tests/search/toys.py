"""Toy spaces and evaluations, cheap enough for every test of the search."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.space import Space

BITS = 10


def sample(key, n):
    return {"bits": jax.random.bernoulli(key, 0.5, (n, BITS))}


def vary(key, a, b):
    cross_key, flip_key = jax.random.split(key)
    crossed = jnp.where(jax.random.bernoulli(cross_key, 0.5, a["bits"].shape), a["bits"], b["bits"])
    return {"bits": crossed ^ jax.random.bernoulli(flip_key, 0.1, a["bits"].shape)}


def last_two_are_silent(genome):
    """Bits 8 and 9 change nothing: 256 networks."""
    return {"bits": genome["bits"] & (jnp.arange(BITS) < BITS - 2)}


def unused(*_):
    raise AssertionError("search must not decode, apply or cost anything")


def space(canonical=None, name="toy", **changes):
    settings = {
        "params": {"weight": jnp.arange(1.0, BITS + 1)},
        "inputs": jax.ShapeDtypeStruct((1,), jnp.float32),
        "sample": sample,
        "vary": vary,
        "apply": unused,
        "decode": unused,
        "cost": unused,
        "canonical": canonical or (lambda genome: genome),
    }
    return Space(name, **(settings | changes))


@jax.jit
def score(weight, bits):
    return jnp.stack([bits @ weight, -jnp.sum(bits, axis=1, dtype=jnp.float32)], axis=1)


def evaluate(key, params, genomes):
    """Two objectives in conflict: the weight of the bits, and how few they are."""
    del key
    return genomes, score(params["weight"], genomes["bits"])


class Remembering:
    """An evaluation with a memory: fitness depends on how many genomes it has seen before."""

    objectives = ("weight", "-count")

    def __init__(self):
        self.seen = np.zeros((0, BITS), bool)

    def __call__(self, key, params, genomes):
        fitness = np.asarray(score(params["weight"], genomes["bits"])) + len(self.seen) * 1e-3
        self.seen = np.concatenate([self.seen, np.asarray(genomes["bits"])])
        return genomes, fitness + 1e-3 * np.asarray(jax.random.normal(key, fitness.shape))

    @property
    def memory(self):
        return {"seen": self.seen}

    def restore(self, memory):
        self.seen = memory["seen"]

    def report(self):
        return {"remembered": len(self.seen)}


TRAPS, TRAP = 4, 4
GENES = TRAPS * TRAP


def genes_space(canonical=None, options=2, genes=GENES):
    """Genomes are vectors of integers."""

    def sample(key, n):
        return jax.random.randint(key, (n, genes), 0, options, jnp.int32)

    def vary(key, a, b):
        cross_key, flip_key, value_key = jax.random.split(key, 3)
        crossed = jnp.where(jax.random.bernoulli(cross_key, 0.5, a.shape), a, b)
        flipped = jax.random.bernoulli(flip_key, 1 / genes, a.shape)
        return jnp.where(flipped, jax.random.randint(value_key, a.shape, 0, options), crossed)

    return space(canonical, "genes", params={}, sample=sample, vary=vary)


def traps(genomes):
    """Trap and inverse trap, by blocks: the first objective rewards ones, the second zeros, and each misleads."""
    ones = np.asarray(genomes)[:, :GENES].reshape(len(genomes), TRAPS, TRAP).sum(axis=2)
    first = np.where(ones == TRAP, TRAP, TRAP - 1 - ones).sum(axis=1)
    second = np.where(ones == 0, TRAP, ones - 1).sum(axis=1)
    return np.stack([first, second], axis=1).astype(float)


#: The front of `traps`: k blocks of ones, the others of zeros.
TRAPS_FRONT = {(TRAPS * (TRAP - 1.0) + k, TRAPS * TRAP - float(k)) for k in range(TRAPS + 1)}


class Counting:
    """Scores genomes and counts distinct ones."""

    def __init__(self, score=traps):
        self.score, self.seen, self.batches = score, np.zeros((0, GENES), np.int32), []

    def __call__(self, key, params, genomes):
        fitness = self.score(genomes)
        self.batches.append(np.asarray(genomes))
        self.seen = np.unique(np.concatenate([self.seen, self.batches[-1]]), axis=0)
        return genomes, fitness

    @property
    def memory(self):
        return {"seen": self.seen}

    def restore(self, memory):
        self.seen = memory["seen"]

    def report(self):
        return {"distinct_evaluations": len(self.seen)}


def assert_same_bits(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if jnp.issubdtype(jnp.result_type(left), jax.dtypes.prng_key):
            left, right = jax.random.key_data(left), jax.random.key_data(right)
        left, right = np.asarray(left), np.asarray(right)
        assert (left.dtype, left.shape, left.tobytes()) == (right.dtype, right.shape, right.tobytes())
