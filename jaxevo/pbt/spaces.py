"""`layers`: the space of the networks that an architecture leaves open, whose members mix while they train.

G is the number of genes, L that of layers.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxevo.network import Member, Network
from jaxevo.pbt import genes
from jaxevo.pbt.architectures import Architecture
from jaxevo.pbt.costs import cost
from jaxevo.pbt.extents import cut, pasted, places
from jaxevo.pbt.genes import Fixed
from jaxevo.pbt.mixing import check_architecture, check_shares, mixture
from jaxevo.programs import numbered_keys
from jaxevo.space import Learning, Space
from jaxevo.training import Game

PyTree = Any

#: Architectures of which it is remembered what they use; a population has fewer.
KNOWN = 256


def layers(
    architecture: Architecture, *, shrink: float = 0.4, perturb: float = 0.1, probability: float = 0.25
) -> Space:
    """Makes the space of all networks that an architecture leaves open (PBT-NAS, arXiv 2307.15621).

    A genome is int32 [G], the option that each gene chooses. Members are trained. They run in two ways with equal
    results: masked, all of them in one program, choices being data, with arrays of the largest size; and, once
    compacted, in a program of their true size for each architecture. `training.population` compacts on CPUs.

    Args:
      architecture: what is open, such as `pbt.chain(...)`.
      shrink, perturb: a weight w that is taken over becomes `shrink * w + perturb * fresh`.
      probability: of each layer to be taken over from the other parent, in [0, 1].

    Returns:
      The space; `search.replace_worst` mixes its members.

    Raises:
      TypeError: where architecture is none.
      ValueError: where another argument is not as above.
    """
    check_architecture("layers", architecture)
    check_shares("layers", shrink, perturb, probability)
    breeding = mixture(architecture, shrink, perturb, probability)
    begun = architecture.init(jax.random.key(0, impl="threefry2x32"), jnp.zeros(len(architecture.genes), jnp.int32))

    def init(key: jax.Array, genome: Any) -> Member:
        params, state = architecture.init(key, genome)
        return Member(jnp.asarray(genome, jnp.int32), params, state, None)

    def forward(member: Member, inputs: Any, key: Any, train: bool) -> tuple[Any, Any]:
        return architecture.answer(member.params, member.state, member.genome, inputs, key, train)

    # Members are cut and put back again and again, and with each of them what its optimiser remembers.
    @functools.lru_cache(maxsize=KNOWN)
    def known(genome: tuple[int, ...]) -> tuple[Fixed, PyTree]:
        canonical = np.asarray(architecture.canonical(np.asarray(genome)))
        return Fixed(tuple(int(index) for index in canonical)), places(architecture.extents(canonical))

    def compact(member: Member) -> Member:
        genome, used = known(tuple(np.asarray(member.genome).tolist()))
        state = {kind: cut(used["state"][kind], tree) for kind, tree in member.state.items()}
        return member._replace(genome=genome, params=cut(used["params"], member.params), state=state)

    def expand(small: Member, member: Member) -> Member:
        used = known(small.genome.indices)[1]
        state = {kind: pasted(used["state"][kind], tree) for kind, tree in small.state.items()}
        return small._replace(genome=member.genome, params=pasted(used["params"], small.params), state=state)

    def apply(variables: PyTree, genome: Any, inputs: Any) -> Any:
        return architecture.answer(variables["params"], variables["state"], genome, inputs, None, False)[0]

    def decode(variables: PyTree, genome: Any) -> Network:
        host = jax.tree.map(np.asarray, variables)
        small = compact(Member(np.asarray(genome), host["params"], host["state"], None))
        names = architecture.names(*architecture.network)
        source = {**small.params, **small.state.get("average", {})}
        own = {
            "params": {name: source[name] for name in names},
            "statistics": {name: small.state["statistics"][name] for name in names},
        }
        # Arrays without elements are for layers that the genome leaves out; not all formats know such.
        full = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), own)
        own = jax.tree.map(lambda leaf: leaf if leaf.size else None, own)

        def run(params: PyTree, inputs: Any) -> Any:
            params = jax.tree.map(
                lambda like, leaf: jnp.zeros(like.shape, like.dtype) if leaf is None else leaf, full, params
            )
            state = {"statistics": params["statistics"]}
            return architecture.answer(params["params"], state, small.genome, inputs, None, False)[0]

        return Network(
            run, own, architecture.inputs, architecture.name, architecture.output, architecture.classes,
            architecture.convention,
        )  # fmt: skip

    def vary(key: jax.Array, a: Any, b: Any) -> Any:
        keys = numbered_keys(key, len(a))
        taken = jax.vmap(breeding.draw)(keys)[:, architecture.owners]
        return jnp.where(taken, b, a)

    return Space(
        name=architecture.name,
        params={"params": begun[0], "state": begun[1]},
        inputs=architecture.inputs,
        sample=functools.partial(genes.sample, architecture.genes),
        vary=vary,
        apply=apply,
        decode=decode,
        cost=functools.partial(cost, architecture),
        canonical=architecture.canonical,
        output=architecture.output,
        classes=architecture.classes,
        init=init,
        learning=Learning(forward, compact, expand, breeding, convolves=True),
        settings=dict(breeding.settings),
    )


def game(architecture: Architecture, generator: str = "generator", discriminator: str = "discriminator") -> Game:
    """Returns the game that two parts of an architecture play; `training.adversarial` makes it a `Learner`.

    Args:
      architecture: whose network is the generator, with latents [Z] as inputs.
      generator, discriminator: names of its parts; the second one gives scores [B] or [B, 1] of what the first makes.

    Raises:
      TypeError, ValueError: where the architecture is not as above.
    """
    if not isinstance(architecture, Architecture):
        raise TypeError(f"game: architecture is a {type(architecture).__name__}, expected an Architecture")
    missing = [name for name in (generator, discriminator) if name not in architecture.parts]
    latents = getattr(architecture.inputs, "shape", ())
    if missing or architecture.network != (generator,) or len(latents) != 1:
        raise ValueError(
            f"game: architecture {architecture.name!r} has parts {list(architecture.parts)}, network "
            f"{architecture.network!r} and inputs {architecture.inputs}, expected {generator!r} and {discriminator!r}, "
            "of which the first is the network and takes vectors"
        )

    def plays(part: str, member: Member, inputs: Any, key: Any, train: bool) -> tuple[Any, Any]:
        return architecture.run(part, member.params, member.state, member.genome, inputs, key, train)

    def scores(member: Member, inputs: Any, key: Any, train: bool) -> tuple[Any, Any]:
        found, state = plays(discriminator, member, inputs, key, train)
        return found.reshape(len(found)), state

    made = jax.eval_shape(
        lambda genome, latents: _once(architecture, genome, latents),
        jax.ShapeDtypeStruct((len(architecture.genes),), jnp.int32), jax.ShapeDtypeStruct((1, *latents), jnp.float32),
    )  # fmt: skip
    return Game(
        functools.partial(plays, generator), scores, architecture.names(generator), architecture.names(discriminator),
        jax.ShapeDtypeStruct(made.shape[1:], made.dtype), latents[0],
    )  # fmt: skip


def _once(architecture: Architecture, genome: Any, latents: Any) -> Any:
    params, state = architecture.init(jax.random.key(0, impl="threefry2x32"), genome)
    return architecture.answer(params, state, genome, latents, None, False)[0]
