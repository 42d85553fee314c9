"""Spaces of sparse mutations: a genome says how to draw a child, and no copy of its parameters is ever kept.

Source: Whitaker and Whitley 2023, "Sparse mutation decompositions" (arXiv 2302.05832). Genomes that add up several
mutations, one for each generation, follow Such et al. 2017, "Deep neuroevolution" (arXiv 1712.06567), section 3.1.

T is the number of mutations that a genome adds up, K that of subspaces.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.checks import as_numbers, check_size
from jaxevo.graph import NetworkGraph
from jaxevo.graph.tracing import check_params
from jaxevo.network import Network, check_key
from jaxevo.space import Child, Cost, Space, Work
from jaxevo.subspace.children import Mutated, Mutation
from jaxevo.subspace.corrections import corrected
from jaxevo.subspace.layerwise import layerwise
from jaxevo.subspace.masks import Base, Masks
from jaxevo.subspace.settings import build, check_sigma

PyTree = Any


def partition(
    parent: Network,
    subspaces: int,
    sigma: float,
    *,
    antithetic: bool = False,
    granularity: str = "weight",
    scale: str = "absolute",
    dynamic: bool = False,
    terms: int = 1,
    key: jax.Array | None = None,
    mutate: Callable[[str], bool] | None = None,
) -> Space:
    """Makes the space of sparse children whose masks part one dense mutation into K disjoint pieces.

    Child `i` of generation key `k` has the noise key `fold_in(k, i // K)` and mask `i % K`; of antithetic children,
    pair `p = i // 2` has sign `1 - 2 (i % 2)`, noise key `fold_in(k, p // K)` and mask `p % K`. One subspace is the
    dense mutation.

    An offspring takes each of its T mutations from one of its parents, and adds a fresh one: in a place that is still
    free, else in place of a drawn one. With T = 1 nothing of its parents is left.

    Args:
      parent: the network that is mutated.
      subspaces: the number K of masks, at least 1.
      sigma: standard deviation of the noise in sampled children, at least 0. `genomes._replace(sigma=...)` is the same
        children at another one, and compiles nothing.
      antithetic: whether children come in pairs with opposite noise.
      granularity: what a mask takes or leaves as a whole: a "weight", a "neuron" (an output channel with its bias and
        normalisation) or a "layer".
      scale: "absolute", or "relative" for a sigma in units of the spread of the layer's own weights (see `spread`).
      dynamic: whether each noise key, so each generation, has masks of its own; else they are fixed for a run.
      terms: the number T of mutations that a genome adds up, at least 1; for more than one generation, several.
      key: where static masks come from; by default the key of seed 0.
      mutate: says of a parameter's path (`jaxevo.trace(parent).paths`) whether it is mutated; by default every floating
        parameter but the statistics of normalisations.

    Returns:
      The space; its genomes are `Mutation`s, its `params` a `Base`.

    Raises:
      TypeError, ValueError: where an argument is not as described.
    """
    masked = build("partition", parent, subspaces, None, granularity, scale, dynamic, key, mutate)
    name = f"{subspaces} {granularity} subspaces of {parent.name}"
    return _space("partition", name, parent, masked, sigma, antithetic, terms)


def sparse(
    parent: Network,
    density: float,
    sigma: float,
    *,
    antithetic: bool = False,
    granularity: str = "weight",
    scale: str = "absolute",
    dynamic: bool = False,
    terms: int = 1,
    key: jax.Array | None = None,
    mutate: Callable[[str], bool] | None = None,
) -> Space:
    """Makes the space of sparse children whose masks are drawn at a density, each on its own.

    All children of generation key `k` have the noise key `fold_in(k, 0)`, child `i` (of antithetic children, pair
    `i // 2`) has mask `i`. A mask holds a fixed number of units, drawn without replacement. Offspring are as in
    `partition`.

    Args:
      parent: the network that is mutated.
      density: share of the units (weights, neurons or layers) in each mask, in (0, 1]; at least one is.
      sigma, antithetic, granularity, scale, dynamic, terms, key, mutate: as in `partition`.

    Returns:
      The space; its genomes are `Mutation`s, its `params` a `Base`.

    Raises:
      TypeError, ValueError: where an argument is not as described.
    """
    masked = build("sparse", parent, None, density, granularity, scale, dynamic, key, mutate)
    name = f"{granularity} masks at density {density} of {parent.name}"
    return _space("sparse", name, parent, masked, sigma, antithetic, terms)


def combine(genomes: Mutation, weights: Any = None) -> Mutation:
    """Returns the genome whose parameters are the parent's plus a weighted sum of several children's mutations.

    Its T is that of all the genomes together, so it is decoded or evaluated like any other, but not stacked with those
    that have another T.

    Args:
      genomes: n genomes, stacked.
      weights: [n] numbers; by default 1/n each, the mean of the children's parameters.

    Returns:
      One genome.

    Raises:
      TypeError: where genomes is no `Mutation`.
      ValueError: where weights are not one number for each genome.
    """
    if not isinstance(genomes, Mutation):
        raise TypeError(f"combine: genomes is {type(genomes).__name__}, expected a stacked Mutation, as sample gives")
    n = np.shape(genomes.sign)[0] if np.ndim(genomes.sign) else 0
    weights = (
        np.full(n, 1 / max(n, 1), np.float32)
        if weights is None
        else as_numbers("combine", "weights", weights).astype(np.float32)
    )
    if np.ndim(genomes.sign) != 2 or weights.shape != (n,) or not np.isfinite(weights).all():
        raise ValueError(
            f"combine: weights have shape {list(weights.shape)} for genomes whose signs are "
            f"{list(np.shape(genomes.sign))}, expected finite numbers [n] for [n, T]; stack genomes on a leading axis"
        )
    sigma = genomes.sigma * jnp.abs(weights)[:, None]
    sign = genomes.sign * jnp.sign(weights).astype(jnp.int32)[:, None]
    joined = genomes._replace(sigma=sigma, sign=sign)
    return jax.tree.map(lambda leaf: jnp.reshape(leaf, (-1, *leaf.shape[2:])), joined)


def dense(space: Space, params: Base, noise: Any, sigma: float) -> PyTree:
    """Returns the parameters with the whole dense mutation of a noise key, of which the K children each have a part.

    By definition the union over all masks `j` of a partition of the draws with `fold_in(noise, j)`, each scattered into
    its mask.

    Args:
      space: a space that `partition` made.
      params: its parameters.
      noise: data of the key, uint32 [2], such as `genomes.noise[0, 0]`.
      sigma: standard deviation.

    Returns:
      Parameters like the parent's.

    Raises:
      TypeError: where the space is none of a partition.
    """
    make = space.child.make if isinstance(space, Space) and space.child is not None else None
    if not isinstance(make, Mutated) or make.masks.subspaces is None:
        raise TypeError(f"dense: space is {space!r}, expected one that subspace.partition made")
    if np.shape(noise) != (2,) or not np.issubdtype(np.asarray(noise).dtype, np.unsignedinteger):
        raise ValueError(
            f"dense: noise is {noise!r}, expected uint32 [2], the data of a key such as genomes.noise[0, 0]"
        )
    check_params("dense: params", space.params, params)
    sigma, count = check_sigma("dense", sigma), make.masks.subspaces
    column = jnp.ones(count, jnp.int32)
    genome = Mutation(
        jnp.broadcast_to(jnp.asarray(noise), (count, 2)), jnp.arange(count), column, jnp.full(count, sigma, jnp.float32)
    )
    return jax.jit(make)(params, genome)


def rebase(space: Space, parent: Network) -> Space:
    """Returns the same space around another network of the same architecture, such as the child of a generation.

    Its functions stay the same: an evaluation of the first space takes `rebased.params` and compiles nothing. A
    relative sigma stays relative to the spread of the first network's layers.

    Args:
      space: a space of mutations.
      parent: the network, for example `space.decode(space.params, result.best)`.

    Raises:
      TypeError: where an argument is of another kind.
      ValueError: where the network's parameters are not like those of the space.
    """
    if not isinstance(space, Space) or not isinstance(space.params, Base):
        raise TypeError(f"rebase: space is {space!r}, expected a space of jaxevo.subspace")
    if not isinstance(parent, Network):
        raise TypeError(f"rebase: parent is {parent!r}, expected a jaxevo.Network")
    came, wanted = (
        jax.tree.map(lambda leaf: (np.shape(leaf), str(leaf.dtype)), p) for p in (parent.params, space.params.params)
    )
    if came != wanted:
        raise ValueError(f"rebase: parent has parameters {came}, expected those of {space.name!r}, {wanted}")
    make = space.child.make if space.child is not None else None
    assert isinstance(make, Mutated)
    params = jax.tree.map(jnp.asarray, parent.params)
    flat = make.masks.chosen.flatten(params)
    return dataclasses.replace(space, params=space.params._replace(params=params, flat=flat))


def _space(
    where: str,
    name: str,
    parent: Network,
    masked: tuple[NetworkGraph, Masks, Base],
    sigma: float,
    antithetic: bool,
    terms: int,
) -> Space:
    sigma = check_sigma(where, sigma)
    if not isinstance(antithetic, bool):
        raise TypeError(f"{where}: antithetic is {antithetic!r}, expected True or False")
    check_size(where, "terms", terms)
    graph, masks, base = masked
    cost = Cost(graph.multiply_adds, graph.parameters)
    make = Mutated(masks)

    def decode(params: Base, genome: Mutation) -> Network:
        _check(where, genome)
        return dataclasses.replace(parent, params=jax.jit(make)(params, genome), name=describe(parent.name, genome))

    return Space(
        name=name,
        params=base,
        inputs=parent.inputs,
        sample=functools.partial(_sample, masks.subspaces, sigma, antithetic, terms),
        vary=functools.partial(_vary, masks.subspaces),
        apply=lambda params, genome, inputs: parent.apply(make(params, genome), inputs),
        decode=decode,
        cost=lambda _: cost,
        canonical=_canonical,
        output=parent.output,
        classes=parent.classes,
        work=_work(graph, masks, base, terms),
        child=Child(make, parent.apply),
        settings={"sigma": sigma, "antithetic": antithetic, "terms": terms, **masks.settings},
    )


def _work(graph: NetworkGraph, masks: Masks, base: Base, terms: int) -> Work | None:
    """Returns how children divide into shared work, or None where they share nothing."""
    if graph.program.structure != jax.tree.structure(0):
        return None
    if masks.granularity == "layer":
        return layerwise(graph, masks, base)
    return corrected(graph, masks) if masks.granularity == "neuron" and terms == 1 else None


def describe(name: str, genome: Mutation) -> str:
    """Names a child by its mutations."""
    terms = zip(*(np.asarray(leaf).tolist() for leaf in genome), strict=True)
    parts = [f"{'+-'[sign < 0]}{sigma:.3g} s{j} {a:08x}{b:08x}" for (a, b), j, sign, sigma in terms if sign]
    return f"{name}[{'; '.join(parts)}]"


def _sample(subspaces: int | None, sigma: float, antithetic: bool, terms: int, key: jax.Array, n: int) -> Mutation:
    key = check_key("sample", key)
    if not isinstance(n, int) or n < 1:
        raise ValueError(f"sample: n is {n!r}, expected a whole number of at least 1, the number of genomes")
    child = jnp.arange(n, dtype=jnp.int32)
    pair, sign = (child // 2, 1 - 2 * (child % 2)) if antithetic else (child, jnp.ones(n, jnp.int32))
    shared, subspace = (pair // subspaces, pair % subspaces) if subspaces is not None else (jnp.zeros_like(pair), pair)
    noise = jax.random.key_data(jax.vmap(jax.random.fold_in, (None, 0))(key, shared))
    first = Mutation(noise[:, None], subspace[:, None], sign[:, None], jnp.full((n, 1), sigma, jnp.float32))
    room = ((0, 0), (0, terms - 1))
    return jax.tree.map(lambda leaf: jnp.pad(leaf, room + ((0, 0),) * (leaf.ndim - 2)), first)


def _vary(subspaces: int | None, key: jax.Array, a: Mutation, b: Mutation) -> Mutation:
    key = check_key("vary", key)
    shapes = [jax.tree.map(lambda leaf: list(np.shape(leaf)), tree) for tree in (a, b)]
    if shapes[0] != shapes[1] or not isinstance(a, Mutation) or np.ndim(a.sign) != 2:
        raise ValueError(f"vary: a and b are {shapes[0]} and {shapes[1]}, expected two stacks of Mutations of one size")

    def one(key, index, a, b):
        mix, fresh, where, which, turn = jax.random.split(key, 5)
        terms = len(a.sign)
        taken = jax.random.bernoulli(mix, 0.5, (terms,))
        child = jax.tree.map(lambda x, y: jnp.where(taken.reshape(-1, *[1] * (x.ndim - 1)), x, y), a, b)
        free = child.sign == 0
        place = jnp.where(free.any(), jnp.argmax(free), jax.random.randint(where, (), 0, terms))
        new = Mutation(
            jax.random.key_data(fresh),
            index if subspaces is None else jax.random.randint(which, (), 0, subspaces, jnp.int32),
            1 - 2 * jax.random.bernoulli(turn).astype(jnp.int32),
            a.sigma[jnp.argmax(a.sign != 0)],
        )
        return jax.tree.map(lambda leaf, value: leaf.at[place].set(value), child, new)

    a, b = (jax.tree.map(jnp.asarray, tree) for tree in (a, b))
    indices = jnp.arange(len(a.sign), dtype=jnp.int32)
    return jax.vmap(one)(jax.random.split(key, len(a.sign)), indices, a, b)


def _canonical(genome: Mutation) -> Mutation:
    """Returns the genome with the mutations that change nothing set to zero, after the others."""
    genome = jax.tree.map(jnp.asarray, genome)
    used = (genome.sign != 0) & (genome.sigma != 0)
    order = jnp.argsort(~used, stable=True)
    kept = jax.tree.map(lambda leaf: jnp.where(used.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, 0), genome)
    return jax.tree.map(lambda leaf, like: leaf[order].astype(like.dtype), kept, genome)


def _check(where: str, genome: Any) -> None:
    """Refuses what is no single genome."""
    if not isinstance(genome, Mutation) or np.ndim(genome.sign) != 1 or np.shape(genome.noise) != (len(genome.sign), 2):
        shapes = jax.tree.map(lambda leaf: list(np.shape(leaf)), genome)
        raise ValueError(f"{where}: genome is {shapes}, expected one Mutation; index the population first")
