"""Small architectures that between them hold every kind of choice, and members of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo import pbt
from jaxevo.pbt import extents

KEY = jax.random.key(0)
CLASSES = 3


@functools.cache
def everything() -> pbt.Architecture:
    """Returns an architecture in which every kind of choice is open, by itself and beside the others."""
    return pbt.chain(
        [
            pbt.Convolution(
                "first", 2, ("conv1", "conv3", "conv5", "dilated3"), (4, 6), ("relu", "swish"),
                ("none", "batch", "instance"), (False, True),
            ),
            pbt.Convolution(
                "strided", 6, ("conv3", "none", "skip", "dilated5"), (6, 4), ("leaky", "tanh"), ("batch", "none"),
                (True, False), stride=2, spectral=(True,),
            ),
            pbt.Convolution(
                "enlarging", 6, ("skip", "conv3"), (4, 8), ("gelu", "relu"), skips=(False, True), enlarge=2,
                before=True,
            ),
            pbt.Plain("mean", lambda x: x.mean((1, 2))),
            pbt.Dense("hidden", 8, (3, 5), ("identity", "gelu"), ("none", "batch"), spectral=(True,)),
            pbt.Dense("classes", 5, (CLASSES,), bias=False),
        ],
        jax.ShapeDtypeStruct((6, 6, 2), jnp.float32),
    )  # fmt: skip


@functools.cache
def adversaries() -> pbt.Architecture:
    """Returns a generator with averages and a discriminator of 4x4 pictures."""
    generator = pbt.in_a_row(
        [
            pbt.Dense("project", 3, (16,)),
            pbt.Plain("maps", lambda x: x.reshape(-1, 2, 2, 4), lambda reads: reads[:4]),
            pbt.Convolution("make", 4, ("conv1", "conv3"), (2, 4), normalisations=("batch", "none"), enlarge=2),
            pbt.Convolution("picture", 4, ("conv3",), (1,), ("tanh",)),
        ]
    )
    discriminator = pbt.in_a_row(
        [
            pbt.Convolution("look", 1, ("conv1", "conv3"), (2, 4), ("leaky", "relu"), stride=2, spectral=(True,)),
            pbt.Plain("sum", lambda x: x.sum((1, 2))),
            pbt.Dense("score", 4, (1,), spectral=(True,)),
        ]
    )
    return pbt.Architecture(
        "adversaries", {"generator": generator, "discriminator": discriminator},
        jax.ShapeDtypeStruct((3,), jnp.float32), ("generator",), averaged=("generator",), output="values",
    )  # fmt: skip


def genome(architecture: pbt.Architecture, **chosen: object) -> np.ndarray:
    """Returns the genome of the first options, but for what is chosen by `layer_gene=option`."""
    wanted = {name.replace("_", ".", 1): option for name, option in chosen.items()}
    assert wanted.keys() <= {gene.name for gene in architecture.genes}
    options = [gene.options.index(wanted.get(gene.name, gene.options[0])) for gene in architecture.genes]
    return np.array(options, np.int32)


def stirred(architecture: pbt.Architecture, member, seed: int):
    """Returns a member whose used numbers are drawn anew: none is zero, and those of its state are above it."""
    rng, used = np.random.default_rng(seed), architecture.extents(np.asarray(member.genome))

    def drawn(kind, tree, signs):
        sizes = jax.tree.map(lambda leaf: rng.choice(signs, leaf.shape) * rng.uniform(0.1, 1, leaf.shape), tree)
        return jax.tree.map(np.asarray, extents.cleared(kind, jax.tree.map(np.float32, sizes)))

    state = {kind: drawn(used["state"][kind], tree, [1]) for kind, tree in member.state.items()}
    return member._replace(params=drawn(used["params"], member.params, [-1, 1]), state=state)


def unused(architecture: pbt.Architecture, member) -> dict:
    """Returns, as trees like params, what the genome of a member does not use: bool, of each array's shape."""
    used = architecture.extents(np.asarray(member.genome))["params"]
    return extents.extended(
        lambda extent, leaf: ~np.broadcast_to(extents.mask(extent), leaf.shape), used, member.params
    )


def row(stacked, index: int):
    """Returns one entry of a stack, on the host."""
    return jax.tree.map(lambda leaf: np.asarray(leaf[index]), stacked)


def close(found, expected, tolerance: float = 1e-5) -> None:
    """Asserts that arrays agree relative to the largest of all their numbers.

    A bias before a normalisation has no gradient but for rounding, so that it is no measure for itself.
    """
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    floating = [leaf for leaf in map(np.asarray, jax.tree.leaves(expected)) if leaf.dtype.kind == "f"]
    within = tolerance * max(np.abs(leaf).max(initial=0) for leaf in floating)
    jax.tree.map(
        lambda got, wanted: np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=within), found, expected
    )


def same(found, expected) -> None:
    """Asserts that arrays agree to the bit."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
