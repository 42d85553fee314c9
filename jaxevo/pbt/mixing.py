"""How members beget members while they train: mixtures of two, as published, and mutations of one.

Sources: Chebykin, Dushatskiy, Alderliesten and Bosman 2023 (arXiv 2307.15621), section 3, and the code published with
it; mutations after Franke, Koehler, Biedenkapp and Hutter 2021, SEARL (arXiv 2009.01555), as that code has them.
G is the number of genes, L that of layers.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.network import Member
from jaxevo.pbt.architectures import Architecture
from jaxevo.pbt.extents import alike, cut, extended, is_extent, mask, pasted, places
from jaxevo.programs import briefly, fold_in, split_key
from jaxevo.space import Breeding
from jaxevo.training import owners

PyTree = Any

#: The largest share of a kernel's weights that a mutation changes; how far, in standard deviations in proportion to the
#: weight; how far those that change greatly; the probabilities of that and of drawing a weight anew.
MUTATED, STRENGTH, GREATLY, GREAT, ANEW = 0.1, 0.1, 10.0, 0.05, 0.05

#: No mutated weight is larger.
LARGEST = 1e6


def mixture(architecture: Architecture, shrink: float, perturb: float, probability: float) -> Breeding:
    """Makes the mixing of two members: a copy of the better one with some layers of the other.

    A layer is taken over with its choices, parameters and state. Only the parameters that are taken over shrink and are
    perturbed: w becomes `shrink * w + perturb * fresh`, where fresh is drawn as for a new member of the child's
    architecture. Statistics and averages are taken over as they are, as published for averages; the published code
    shrinks statistics of normalisations too, which leaves variances that belong to no activations. What the optimiser
    knows stays with the better one; of a parameter whose used part changes its shape it is forgotten.

    Where a layer reads channels that its weights did not know, they are zero in a layer that was kept, so that it
    works on as it did, and `perturb * fresh` in one that was taken over.

    Of a child's key, `fold_in(key, 0)` draws which layers are taken over, and what is fresh is `architecture.init` with
    `fold_in(key, 1)`.

    Args:
      architecture: of the members.
      shrink, perturb: factors of what is taken over and of what is fresh.
      probability: of each layer to be taken over, in [0, 1]; a layer that leaves nothing open is never.

    Raises:
      TypeError, ValueError: where an argument is not as above.
    """
    check_architecture("mixture", architecture)
    check_shares("mixture", shrink, perturb, probability)
    layers = len(architecture.layers)
    with_genes = np.isin(np.arange(layers), architecture.owners)

    def draw(key: jax.Array) -> jax.Array:
        return jax.random.bernoulli(fold_in(key, 0), probability, (layers,)) & with_genes

    def make(key: jax.Array, better: Member, other: Member, taken: Any) -> Member:
        genome = np.where(np.asarray(taken)[architecture.owners], other.genome, better.genome)
        names = [architecture.layers[index].name for index in np.flatnonzero(taken)]
        params, _ = architecture.init(fold_in(key, 1), genome)
        fresh = jax.device_get({name: params[name] for name in names})
        # Whoever is not finite is replaced by the next generation.
        with np.errstate(over="ignore", invalid="ignore"):
            mixed = {
                name: jax.tree.map(lambda new, begun: shrink * new + perturb * begun, other.params[name], fresh[name])
                for name in names
            }
        return _born(architecture, genome, better, names, mixed, other.state)

    return Breeding(
        "mixture",
        tuple(layer.name for layer in architecture.layers),
        draw,
        make,
        {"shrink": shrink, "perturb": perturb, "probability": probability},
    )


def mutation(architecture: Architecture) -> Breeding:
    """Makes the mutation of one member: a copy, and with a third each nothing else, other weights or another choice.

    Weights: of some kernels, as many as an even draw says, up to a tenth in each are changed a little, some greatly, or
    drawn from N(0, 1). The published code draws that share as a whole number of output channels, which leaves layers of
    ten and less as they are; here it is drawn evenly for all. Choice: one gene takes another option, and its layer
    begins anew, averages included. The second parent is not read.

    Args:
      architecture: of the members.

    Raises:
      TypeError: where it is none.
    """
    check_architecture("mutation", architecture)
    owned = jnp.asarray(architecture.owners)
    layers = len(architecture.layers)

    def draw(key: jax.Array) -> jax.Array:
        kind, gene = _kind(key, len(owned))
        return (jnp.arange(layers) == owned[gene]) & (kind == 2)

    def make(key: jax.Array, better: Member, other: Member, taken: Any) -> Member:
        del other, taken
        kind, gene = (int(number) for number in _kind(key, len(architecture.genes)))
        weight_key, option_key, fresh_key = split_key(fold_in(key, 1), 3)
        if kind == 1:
            jolted = _jolted(architecture, weight_key, better.genome, better.params)
            return better._replace(params=jax.device_get(jolted))
        if kind == 2:
            options = len(architecture.genes[gene].options)
            genome = np.array(better.genome)
            # Another option than the present one, each as likely.
            genome[gene] = (genome[gene] + 1 + int(jax.random.randint(option_key, (), 0, options - 1))) % options
            owner = architecture.layers[architecture.owners[gene]].name
            begun = jax.device_get(architecture.init(fresh_key, genome))
            return _born(architecture, genome, better, [owner], *begun)
        return better

    return Breeding("mutation", tuple(layer.name for layer in architecture.layers), draw, make, {})


def check_architecture(where: str, architecture: Any) -> None:
    """Raises TypeError, starting with `where`, unless the argument is an `Architecture`."""
    if not isinstance(architecture, Architecture):
        raise TypeError(
            f"{where}: architecture is a {type(architecture).__name__}, expected an Architecture; make one with "
            "pbt.chain([...], inputs)"
        )


def check_shares(where: str, shrink: Any, perturb: Any, probability: Any) -> None:
    """Raises ValueError, starting with `where`, unless these are numbers that weights can be mixed by."""
    for name, value, most in (("shrink", shrink, None), ("perturb", perturb, None), ("probability", probability, 1)):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= (np.finfo(np.float32).max if most is None else most):
            bounds = "at least 0 and finite" if most is None else f"in [0, {most}]"
            raise ValueError(f"{where}: {name} is {value!r}, expected a number {bounds}")


def _kind(key: jax.Array, genes: int) -> tuple[jax.Array, jax.Array]:
    kind_key, gene_key = jax.random.split(key)
    return jax.random.randint(kind_key, (), 0, 3), jax.random.randint(gene_key, (), 0, genes)


def _born(
    architecture: Architecture, genome: np.ndarray, better: Member, names: list[str], params: PyTree, state: PyTree
) -> Member:
    """Returns a copy of the better one in which the layers named have these params and state, on the host.

    A child is made but once: a program for it would take longer to compile than a run's children to copy.
    """
    before, after = architecture.extents(np.asarray(better.genome))["params"], architecture.extents(genome)

    def joined(own: PyTree, new: PyTree) -> PyTree:
        return own | {name: new[name] for name in names if name in own}

    def used(extents: PyTree, tree: PyTree) -> PyTree:
        where = places(extents)
        return pasted(where, cut(where, tree))

    return Member(
        genome,
        used(after["params"], joined(better.params, params)),
        {kind: used(after["state"][kind], joined(better.state[kind], state[kind])) for kind in better.state},
        _remembered(before, after["params"], better),
    )


@briefly(0)
def _jolted(architecture: Architecture, key: jax.Array, genome: Any, params: PyTree) -> PyTree:
    """Returns parameters with some weights of some kernels changed."""
    leaves, structure = jax.tree.flatten(params)
    used = [mask(extent) for extent in jax.tree.leaves(architecture.extents(genome)["params"], is_leaf=is_extent)]
    kernels = [index for index, leaf in enumerate(leaves) if leaf.ndim > 1]
    count_key, order_key, each_key = jax.random.split(key, 3)
    count = jax.random.randint(count_key, (), 1, len(kernels) + 1)
    ranks = jax.random.permutation(order_key, len(kernels))
    for place, index in enumerate(kernels):
        leaf = leaves[index]
        share_key, which_key, kind_key, noise_key = jax.random.split(jax.random.fold_in(each_key, place), 4)
        share = jax.random.uniform(share_key, maxval=MUTATED)
        which = (jax.random.uniform(which_key, leaf.shape) < share) & used[index]
        how, noise = jax.random.uniform(kind_key, leaf.shape), jax.random.normal(noise_key, leaf.shape)
        moved = leaf + jnp.where(how < GREAT, GREATLY, STRENGTH) * jnp.abs(leaf) * noise
        moved = jnp.clip(jnp.where((how >= GREAT) & (how < GREAT + ANEW), noise, moved), -LARGEST, LARGEST)
        leaves[index] = jnp.where(which & (ranks[place] < count), moved, leaf)
    return jax.tree.unflatten(structure, leaves)


def _remembered(before: PyTree, after: PyTree, member: Member) -> PyTree:
    """Returns the optimiser's state without what it knew of parameters whose used part has another shape now."""
    kept = extended(lambda was, now: mask(now) & alike(was, now), before, after)
    return owners.changed(
        member.params,
        member.optimizer_state,
        lambda tree: jax.tree.map(lambda keeps, leaf: np.where(keeps, leaf, np.zeros((), leaf.dtype)), kept, tree),
    )
