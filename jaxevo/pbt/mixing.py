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
from jaxevo.pbt.extents import alike, cleared, extended, is_extent, mask
from jaxevo.programs import briefly
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

    Of a child's key, the first half of `split(key)` draws which layers are taken over, and what is fresh is
    `architecture.init` with the second.

    Args:
      architecture: of the members.
      shrink, perturb: factors of what is taken over and of what is fresh.
      probability: of each layer to be taken over, in [0, 1].

    Raises:
      TypeError, ValueError: where an argument is not as above.
    """
    check_architecture("mixture", architecture)
    check_shares("mixture", shrink, perturb, probability)
    layers = len(architecture.layers)
    with_genes = np.isin(np.arange(layers), architecture.owners)

    @jax.jit
    def draw(key: jax.Array, chance: Any) -> jax.Array:
        return jax.random.bernoulli(jax.random.split(key)[0], chance, (layers,)) & with_genes

    def make(key: jax.Array, better: Member, other: Member, taken: Any) -> Member:
        genome = jnp.where(jnp.asarray(taken)[architecture.owners], other.genome, better.genome)
        fresh, _ = architecture.init(jax.random.split(key)[1], genome)
        return _mixed(architecture, genome, fresh, better, other, taken, shrink, perturb)

    return Breeding(
        "mixture",
        tuple(layer.name for layer in architecture.layers),
        lambda key: draw(key, probability),
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

    @jax.jit
    def draw(key: jax.Array) -> jax.Array:
        kind, gene = _kind(key, len(owned))
        return (jnp.arange(layers) == owned[gene]) & (kind == 2)

    def make(key: jax.Array, better: Member, other: Member, taken: Any) -> Member:
        del other, taken
        return _mutated(architecture, key, better)

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


@briefly(0)
def _mixed(
    architecture: Architecture, genome: Any, fresh: PyTree, better: Member, other: Member, taken: Any, shrink: Any,
    perturb: Any,
) -> Member:  # fmt: skip
    before, after = architecture.extents(better.genome), architecture.extents(genome)
    takes = {layer.name: taken[index] for index, layer in enumerate(architecture.layers)}
    params = {
        name: jax.tree.map(
            lambda own, new, begun, name=name: jnp.where(takes[name], shrink * new + perturb * begun, own),
            better.params[name], other.params[name], fresh[name],
        )
        for name in better.params
    }  # fmt: skip
    state = _taken(takes, better.state, other.state)
    return Member(
        genome,
        cleared(after["params"], params),
        {kind: cleared(after["state"][kind], state[kind]) for kind in state},
        _remembered(before["params"], after["params"], better),
    )


def _mutated(architecture: Architecture, key: Any, member: Member) -> Member:
    fresh_key = jax.random.split(jax.random.fold_in(key, 1), 3)[2]
    genome = _moved(architecture, key, member.genome)
    return _changed(architecture, key, genome, architecture.init(fresh_key, genome), member)


@briefly(0)
def _moved(architecture: Architecture, key: Any, genome: Any) -> jax.Array:
    """Returns the genome with another option of one gene, where a choice is what mutates."""
    option_key = jax.random.split(jax.random.fold_in(key, 1), 3)[1]
    kind, gene = _kind(key, len(architecture.genes))
    options = jnp.asarray([len(gene.options) for gene in architecture.genes])[gene]
    # Another option than the present one, each as likely.
    moved = (genome[gene] + 1 + jax.random.randint(option_key, (), 0, options - 1)) % options
    return jnp.where(kind == 2, genome.at[gene].set(moved), genome)


@briefly(0)
def _changed(architecture: Architecture, key: Any, genome: Any, begun: Any, member: Member) -> Member:
    weight_key = jax.random.split(jax.random.fold_in(key, 1), 3)[0]
    kind, gene = _kind(key, len(architecture.genes))
    before, after = architecture.extents(member.genome), architecture.extents(genome)
    changed = {
        layer.name: (kind == 2) & (jnp.asarray(architecture.owners)[gene] == index)
        for index, layer in enumerate(architecture.layers)
    }
    begun_params, begun_state = begun
    own = {"params": _jolted(weight_key, kind == 1, before["params"], member.params), **member.state}
    state = _taken(changed, own, {"params": begun_params, **begun_state})
    params = state.pop("params")
    return Member(
        genome,
        cleared(after["params"], params),
        {kind: cleared(after["state"][kind], state[kind]) for kind in state},
        _remembered(before["params"], after["params"], member),
    )


def _taken(takes: dict[str, Any], own: PyTree, other: PyTree) -> PyTree:
    """Returns `{kind: {layer: tree}}` with the layers that are taken over from the other."""
    return {
        kind: {
            name: jax.tree.map(
                lambda mine, new, name=name: jnp.where(takes[name], new, mine), trees[name], other[kind][name]
            )
            for name in trees
        }
        for kind, trees in own.items()
    }


def _jolted(key: jax.Array, wanted: Any, extents: PyTree, params: PyTree) -> PyTree:
    """Returns parameters with some weights of some kernels changed, where that is wanted."""
    leaves, structure = jax.tree.flatten(params)
    used = [mask(extent) for extent in jax.tree.leaves(extents, is_leaf=is_extent)]
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
        leaves[index] = jnp.where(which & wanted & (ranks[place] < count), moved, leaf)
    return jax.tree.unflatten(structure, leaves)


def _remembered(before: PyTree, after: PyTree, member: Member) -> PyTree:
    """Returns the optimiser's state without what it knew of parameters whose used part has another shape now."""
    same = extended(alike, before, after)
    kept = extended(lambda extent, keeps: mask(extent) & keeps, after, same)
    return owners.changed(
        member.params,
        member.optimizer_state,
        lambda tree: jax.tree.map(lambda used, leaf: jnp.where(used, leaf, jnp.zeros((), leaf.dtype)), kept, tree),
    )
