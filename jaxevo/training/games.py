"""How a generator and a discriminator learn from each other: generative adversarial networks as a `Learner`.

Sources: Goodfellow et al. 2014 (arXiv 1406.2661), the game and the logistic loss; Lim and Ye 2017 (arXiv 1705.02894),
the hinge loss; Yazici et al. 2019 (arXiv 1806.04498), averages. B is the batch size, Z that of latents.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxevo.checks import check_size
from jaxevo.network import Member, PyTree
from jaxevo.training.epochs import Metrics
from jaxevo.training.learning import Learner

Play = Callable[[Member, jax.Array, jax.Array | None, bool], tuple[jax.Array, PyTree]]


class Game(NamedTuple):
    """Two networks of one member, whose params are a dictionary.

    generate: `(member, latents [B, Z], key, train) -> (examples [B, ...], state)`.
    discriminate: `(member, examples [B, ...], key, train) -> (scores [B], state)`, larger for what looks real.
    generator, discriminator: keys of the params of each.
    inputs: `ShapeDtypeStruct` of one example.
    latents: Z.
    """

    generate: Play
    discriminate: Play
    generator: Sequence[str]
    discriminator: Sequence[str]
    inputs: jax.ShapeDtypeStruct
    latents: int


class _Loss(NamedTuple):
    """What the networks descend, of scores [B]: the discriminator's of real and of made examples, the generator's."""

    real: Callable[[jax.Array], jax.Array]
    made: Callable[[jax.Array], jax.Array]
    generator: Callable[[jax.Array], jax.Array]


LOSSES = {
    "hinge": _Loss(lambda s: jax.nn.relu(1 - s), lambda s: jax.nn.relu(1 + s), lambda s: -s),
    "logistic": _Loss(lambda s: jax.nn.softplus(-s), jax.nn.softplus, lambda s: jax.nn.softplus(-s)),
}


def adversarial(
    game: Game,
    optimizer: optax.GradientTransformation,
    *,
    loss: Literal["hinge", "logistic"] = "hinge",
    ratio: int = 1,
    multiplier: int = 1,
    average: float = 0.999,
) -> Learner:
    """Makes the learner of a game: a step of the discriminator on each part of the batch, then one of the generator.

    Where a member's state has an "average", it follows the generator's parameters.

    Args:
      game: the two networks.
      optimizer: an optax optimiser; each network has a state of its own.
      loss: "hinge" (as in the AdvNAS and PBT-NAS papers) or "logistic" (not saturating).
      ratio: steps of the discriminator for one of the generator; each batch is cut into so many parts.
      multiplier: how many times the size of a part the generator's batch has.
      average: share that the averages keep in a step, in [0, 1).

    Returns:
      The learner; metrics are "loss", the generator's, and "discriminator", that of the last part. It has no score.

    Raises:
      TypeError, ValueError: where an argument is not as above.
    """
    where = "adversarial"
    if not isinstance(game, Game):
        raise TypeError(f"{where}: game is a {type(game).__name__}, expected a Game such as pbt.game(architecture)")
    if not isinstance(optimizer, optax.GradientTransformation):
        raise TypeError(f"{where}: optimizer is {optimizer!r}, expected an optax optimiser such as optax.adam(1e-3)")
    if loss not in LOSSES:
        raise ValueError(f"{where}: loss is {loss!r}, expected one of {', '.join(map(repr, LOSSES))}")
    for name, value in (("ratio", ratio), ("multiplier", multiplier)):
        check_size(where, name, value)
    if isinstance(average, bool) or not isinstance(average, int | float) or not 0 <= average < 1:
        raise ValueError(f"{where}: average is {average!r}, expected a number in [0, 1), such as 0.999")
    losses = LOSSES[loss]

    def begin(member: Member) -> Member:
        states = {
            "generator": optimizer.init(_part(member.params, game.generator)),
            "discriminator": optimizer.init(_part(member.params, game.discriminator)),
        }
        return member._replace(optimizer_state=states)

    def stepped(member: Member, which: str, names: Sequence[str], objective: Callable) -> tuple[Member, jax.Array]:
        own = _part(member.params, names)

        def moved(params: PyTree) -> tuple[jax.Array, PyTree]:
            return objective(member._replace(params={**member.params, **params}))

        (value, state), gradient = jax.value_and_grad(moved, has_aux=True)(own)
        changes, optimizer_state = optimizer.update(gradient, member.optimizer_state[which], own)
        params = {**member.params, **optax.apply_updates(own, changes)}  # pyright: ignore[reportGeneralTypeIssues]
        states = {**member.optimizer_state, which: optimizer_state}
        return Member(member.genome, params, state, states), value

    def discriminated(key: jax.Array, real: jax.Array, mask: jax.Array) -> Callable:
        latent_key, make_key, real_key, made_key = jax.random.split(key, 4)
        latents = jax.random.normal(latent_key, (len(real), game.latents))

        def objective(member: Member) -> tuple[jax.Array, PyTree]:
            made, state = game.generate(member, latents, make_key, True)
            member = member._replace(state=state)
            scores, state = game.discriminate(member, real, real_key, True)
            member = member._replace(state=state)
            # The generator is not descended here: its parameters are not among those of the gradient.
            against, state = game.discriminate(member, made, made_key, True)
            # As many made examples count as real ones: a part that is nothing but padding teaches nothing.
            total = jnp.where(mask, losses.real(scores) + losses.made(against), 0).sum()
            return total / jnp.maximum(mask.sum(), 1), state

        return objective

    def generated(key: jax.Array, count: int) -> Callable:
        latent_key, make_key, score_key = jax.random.split(key, 3)
        latents = jax.random.normal(latent_key, (count, game.latents))

        def objective(member: Member) -> tuple[jax.Array, PyTree]:
            made, state = game.generate(member, latents, make_key, True)
            scores, state = game.discriminate(member._replace(state=state), made, score_key, True)
            return losses.generator(scores).mean(), state

        return objective

    def update(key: jax.Array, member: Member, batch: Any) -> tuple[Member, Metrics]:
        size = len(batch.mask) // ratio
        if size * ratio != len(batch.mask):
            raise ValueError(
                f"{where}: ratio is {ratio}, but batches have {len(batch.mask)} examples; expected a multiple of it"
            )
        on_parts = jnp.nan
        for part in range(ratio):
            rows = slice(part * size, (part + 1) * size)
            objective = discriminated(jax.random.fold_in(key, part), batch.inputs[rows], batch.mask[rows])
            member, on_parts = stepped(member, "discriminator", game.discriminator, objective)
        objective = generated(jax.random.fold_in(key, ratio), multiplier * size)
        member, value = stepped(member, "generator", game.generator, objective)
        if "average" in member.state:
            member = member._replace(state={**member.state, "average": _followed(average, member)})
        return member, {"loss": value, "discriminator": on_parts}

    return Learner(begin, update, None, game.inputs)


def _part(params: PyTree, names: Sequence[str]) -> PyTree:
    return {name: params[name] for name in names}


def _followed(share: float, member: Member) -> PyTree:
    own = _part(member.params, list(member.state["average"]))
    return jax.tree.map(lambda old, new: share * old + (1 - share) * new, member.state["average"], own)
