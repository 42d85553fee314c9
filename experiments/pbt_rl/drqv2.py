"""DrQ-v2 (Yarats, Fergus, Lazaric and Pinto 2021, arXiv 2107.09645) as one step of one member.

Constants are those of the paper and of the code published with arXiv 2307.15621, which agree. B is the batch size, A
the number of entries of an action.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from experiments.pbt_rl.replay import Transitions
from jaxevo import data
from jaxevo.network import Member
from jaxevo.pbt import Architecture
from jaxevo.training import Metrics

#: Parts that have an optimiser of their own.
PARTS = ("encoder", "actor", "critic")

#: How near actions come to -1 and 1.
MARGIN = 1e-6

#: The published shift of 4 pixels, as a share of the side of the published frames.
SHIFT = 4 / 84


@dataclasses.dataclass(frozen=True)
class Learning:
    """How agents learn.

    rate: of Adam.
    batch: transitions in a step.
    steps: n, of a transition; 3, 1 for the published Walker.
    discount: of a step of the environment.
    follow: share by which the target comes nearer to the critic in a step.
    noise: standard deviation of the noise of actions at first and in the end.
    settle: steps over which it goes down in a line.
    clip: largest noise of the actions that values are learned of.
    """

    rate: float = 1e-4
    batch: int = 256
    steps: int = 3
    discount: float = 0.99
    follow: float = 0.01
    noise: tuple[float, float] = (1.0, 0.1)
    settle: int = 500_000
    clip: float = 0.3


class Batch(NamedTuple):
    """What a step learns from.

    transitions: B of them.
    noise: standard deviation of the noise of actions, 0-d.
    """

    transitions: Transitions
    noise: Any


def noise(learning: Learning, steps: int) -> float:
    """Returns the standard deviation of the noise after so many steps."""
    first, end = learning.noise
    return first + (end - first) * min(steps / learning.settle, 1)


def disturbed(key: jax.Array, actions: jax.Array, deviation: Any, clip: float | None = None) -> jax.Array:
    """Returns actions with noise, inside of (-1, 1); the gradient is that without the bounds, as published.

    Args:
      key: a key.
      actions: [B, A] in [-1, 1].
      deviation: standard deviation of the noise.
      clip: its largest size, or None.
    """
    drawn = deviation * jax.random.normal(key, actions.shape)
    moved = actions + (drawn if clip is None else jnp.clip(drawn, -clip, clip))
    bounded = jnp.clip(moved, -1 + MARGIN, 1 - MARGIN)
    return moved + jax.lax.stop_gradient(bounded - moved)


def begin(architecture: Architecture, learning: Learning, member: Member) -> Member:
    """Gives a member its first optimiser states, one for each part."""
    optimizer = optax.adam(learning.rate)
    return member._replace(
        optimizer_state={part: optimizer.init(_of(architecture, member.params, part)) for part in PARTS}
    )


def update(
    architecture: Architecture, learning: Learning, key: jax.Array, member: Member, batch: Batch
) -> tuple[Member, Metrics]:
    """Takes one step: critic and encoder by their values, then the actor by the critic, then the target.

    Args:
      architecture: of the member.
      learning: how it learns.
      key: a key.
      member: with optimiser states.
      batch: what it learns from.

    Returns:
      The member, and metrics: "critic" and "actor", the losses, and "value", the mean of the first critic.
    """
    shift_key, following_key, noise_key, actor_key = jax.random.split(key, 4)
    seen = batch.transitions
    move = data.augment.shift(round(SHIFT * seen.observations.shape[1]))
    observations = pixels(move(shift_key, seen.observations))
    following = pixels(move(following_key, seen.following))
    genome, target = member.genome, {**member.params, **member.state["average"]}

    def run(part: str, params: Any, state: Any, inputs: Any, train: bool) -> tuple[Any, Any]:
        return architecture.run(part, params, state, genome, inputs, None, train)

    later, _ = run("encoder", member.params, member.state, following, False)
    done, _ = run("actor", member.params, member.state, later, False)
    done = disturbed(noise_key, done, batch.noise, learning.clip)
    best, _ = run("critic", target, member.state, (later, done), False)
    wanted = seen.returns + seen.discounts * best.min(axis=0)

    def critic_loss(own: Any) -> tuple[jax.Array, Any]:
        params = {**member.params, **own}
        features, state = run("encoder", params, member.state, observations, True)
        values, state = run("critic", params, state, (features, seen.actions), True)
        return jnp.square(values - wanted).mean(axis=-1).sum(), (features, state, values[0].mean())

    own = _of(architecture, member.params, "encoder", "critic")
    (loss, (features, state, value)), gradient = jax.value_and_grad(critic_loss, has_aux=True)(own)
    member = _stepped(architecture, learning, member._replace(state=state), gradient, "encoder", "critic")

    def actor_loss(own: Any) -> tuple[jax.Array, Any]:
        params = {**member.params, **own}
        actions, state = run("actor", params, member.state, features, True)
        actions = disturbed(actor_key, actions, batch.noise, learning.clip)
        values, _ = run("critic", params, state, (features, actions), False)
        return -values.min(axis=0).mean(), state

    (actor, state), gradient = jax.value_and_grad(actor_loss, has_aux=True)(_of(architecture, member.params, "actor"))
    member = _stepped(architecture, learning, member._replace(state=state), gradient, "actor")
    average = jax.tree.map(
        lambda old, new: (1 - learning.follow) * old + learning.follow * new,
        member.state["average"], _of(architecture, member.params, "critic"),
    )  # fmt: skip
    return member._replace(state={**member.state, "average": average}), {
        "critic": loss, "actor": actor, "value": value,
    }  # fmt: skip


def pixels(observations: jax.Array) -> jax.Array:
    """Returns what encoders see of observations uint8: float32 in [0, 1]."""
    return observations.astype(jnp.float32) / 255


def explore(
    architecture: Architecture, key: jax.Array, member: Member, observations: jax.Array, deviation: Any
) -> jax.Array:
    """Returns actions [B, A] with noise of a standard deviation; none where it is 0.

    Args:
      architecture: of the member.
      key: a key.
      member: the agent.
      observations: uint8 [B, ...].
      deviation: of the noise.
    """
    actions, _ = architecture.answer(member.params, member.state, member.genome, pixels(observations), None, False)
    return disturbed(key, actions, deviation)


def _of(architecture: Architecture, params: Any, *parts: str) -> Any:
    return {name: params[name] for part in parts for name in architecture.names(part)}


def _stepped(architecture: Architecture, learning: Learning, member: Member, gradient: Any, *parts: str) -> Member:
    """Lets the optimisers of parts take a step."""
    optimizer = optax.adam(learning.rate)
    params, states = dict(member.params), dict(member.optimizer_state)
    for part in parts:
        own = _of(architecture, params, part)
        changes, states[part] = optimizer.update(_of(architecture, gradient, part), states[part], own)
        params |= optax.apply_updates(own, changes)  # pyright: ignore[reportOperatorIssue]
    return member._replace(params=params, optimizer_state=states)
