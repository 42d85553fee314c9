"""Classic control and MinAtar's games, of gymnax (Lange 2022), and how what has no pictures is drawn.

S is the side of a frame in pixels, C its number of channels, A is the number of entries of an action.
"""

import functools
import importlib.util
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from experiments.pbt_rl import drawing
from experiments.pbt_rl.environments import Dynamics
from jaxevo.checks import nearest

PyTree = Any


def dynamics(name: str, size: int) -> Dynamics:
    """Returns one of gymnax's environments that can be drawn, its time limit left to us.

    Where actions are a choice of A, an action is a vector of A entries of which the largest is chosen: so that learners
    of continuous actions can play.

    Args:
      name: in `DRAWN`, or one of MinAtar's games, whose observations [10, 10, C] are the frames.
      size: S; MinAtar's games are 10 pixels wide whatever it is.

    Raises:
      SystemExit: where the package is missing, or the environment cannot be drawn.
    """
    if importlib.util.find_spec("gymnax") is None:
        raise SystemExit(f'task gymnax:{name} needs gymnax; install it with pip install "jaxevo[rl]"')
    import gymnax as package  # pyright: ignore[reportMissingImports]

    if name not in DRAWN and not (name.endswith("-MinAtar") and name in package.registered_envs):
        games = [known for known in package.registered_envs if known.endswith("-MinAtar")]
        known = [*DRAWN, *games]
        raise SystemExit(
            f"task gymnax:{name} cannot be drawn; {nearest(name, known)}expected one of {', '.join(known)}"
        )
    environment, params = package.make(name)
    limit = int(params.max_steps_in_episode)
    # An end by time is not one after which nothing follows.
    params = params.replace(max_steps_in_episode=2**30)
    space = environment.action_space(params)
    discrete = hasattr(space, "n")

    def step(key: jax.Array, state: PyTree, action: jax.Array) -> tuple[PyTree, jax.Array, jax.Array]:
        middle, half = (0, 1) if discrete else ((space.high + space.low) / 2, (space.high - space.low) / 2)
        taken = jnp.argmax(action) if discrete else middle + half * action
        _, moved, reward, _, _ = environment.step_env(key, state, taken, params)
        moved = jax.tree.map(lambda old, new: jnp.asarray(new, jnp.result_type(old)), state, moved)
        return moved, jnp.float32(reward), jnp.bool(environment.is_terminated(moved, params))

    def reset(key: jax.Array) -> PyTree:
        return jax.tree.map(jnp.asarray, environment.reset_env(key, params)[1])

    def game(state: PyTree) -> jax.Array:
        return jnp.asarray(environment.get_obs(state) > 0, jnp.uint8) * 255

    draw = functools.partial(DRAWN[name], size) if name in DRAWN else game
    actions = int(space.n) if discrete else int(space.shape[0])
    return Dynamics(reset, step, draw, actions, limit, scale=1.0)


def _cart_pole(size: int, state: Any) -> jax.Array:
    cart = jnp.stack([state.x / 2.4, -0.4])
    tip = cart + jnp.stack([jnp.sin(state.theta), jnp.cos(state.theta)])
    ends = jnp.array([[-0.2, 0.0], [0.2, 0.0]])
    return drawing.picture(
        drawing.line(size, cart + ends[0], cart + ends[1], 0.2), drawing.line(size, cart, tip, 0.1)
    )  # fmt: skip


def _mountain_car(size: int, state: Any) -> jax.Array:
    def height(position: jax.Array) -> jax.Array:
        return jnp.stack([(position + 0.3) / 0.9, 0.7 * jnp.sin(3 * position)], axis=-1)

    corners = height(jnp.linspace(-1.2, 0.6, 13))
    ground = [drawing.line(size, start, end, 0.05) for start, end in itertools.pairwise(corners)]
    car = height(state.position) + jnp.array([0.0, 0.14])
    return drawing.picture(*ground, drawing.disc(size, car, 0.12))


def _acrobot(size: int, state: Any) -> jax.Array:
    first, second = state.joint_angle1, state.joint_angle1 + state.joint_angle2
    elbow = 0.45 * jnp.stack([jnp.sin(first), -jnp.cos(first)])
    hand = elbow + 0.45 * jnp.stack([jnp.sin(second), -jnp.cos(second)])
    return drawing.picture(
        drawing.line(size, jnp.zeros(2), elbow, 0.14), drawing.line(size, elbow, hand, 0.14),
        drawing.disc(size, jnp.zeros(2), 0.12),
    )  # fmt: skip


#: How environments of gymnax whose observations are no pictures are drawn, in grey.
DRAWN: dict[str, Callable[[int, Any], jax.Array]] = {
    "CartPole-v1": _cart_pole,
    "MountainCarContinuous-v0": _mountain_car,
    "Acrobot-v1": _acrobot,
}
