"""Environments as pure functions of a key, a state and an action: what happens, and how it is drawn.

Sources: Pendulum as in Gym and gymnax (Lange 2022), whose equations are repeated here so that it needs no other
package; all else is gymnax's own. Frames of a step are stacked as in DrQ-v2 (arXiv 2107.09645), an action is repeated
as there. S is the side of a frame in pixels, C its number of channels, F frames are stacked, A is the number of entries
of an action.
"""

import functools
import importlib.util
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.pbt_rl import drawing
from jaxevo.checks import nearest

PyTree = Any


class Dynamics(NamedTuple):
    """What happens in an environment, and how that looks.

    reset: `key -> state`.
    step: `(key, state, action [A] in [-1, 1]) -> (state, reward, done)`; done where nothing follows.
    draw: `state -> frame uint8 [S, S, C]`.
    actions: A.
    length: steps of an episode, at most.
    scale: what rewards are multiplied by where an agent learns from them, so that a step's is about 1 at most.
    """

    reset: Callable[[jax.Array], PyTree]
    step: Callable[[jax.Array, PyTree, jax.Array], tuple[PyTree, jax.Array, jax.Array]]
    draw: Callable[[PyTree], jax.Array]
    actions: int
    length: int
    scale: float


class Environment(NamedTuple):
    """An environment that an agent sees through frames.

    name: of the task.
    reset: `key -> (state, observation)`, an observation being uint8 [S, S, F * C], the newest frame last.
    step: `(key, state, action [A] in [-1, 1]) -> (state, observation, reward, done)`.
    frame: shape (S, S, C) of a frame.
    stack: F.
    actions, scale: as in `Dynamics`.
    length: steps of an episode, at most, an action that is repeated counted once.
    host: whether it runs in Python and cannot be traced; states are NumPy arrays all the same.
    """

    name: str
    reset: Callable[[jax.Array], tuple[PyTree, Any]]
    step: Callable[[jax.Array, PyTree, Any], tuple[PyTree, Any, Any, Any]]
    frame: tuple[int, int, int]
    stack: int
    actions: int
    length: int
    scale: float
    host: bool = False


class Seen(NamedTuple):
    """State of an environment that is seen.

    inner: of the dynamics.
    frames: uint8 [S, S, F * C], the last F frames.
    """

    inner: PyTree
    frames: jax.Array


def seen(name: str, dynamics: Dynamics, repeat: int, stack: int) -> Environment:
    """Makes an environment of dynamics.

    Args:
      name: of the task.
      dynamics: what happens.
      repeat: how often an action is repeated; rewards add up until it is done.
      stack: F; an episode begins with its first frame F times, as in DrQ-v2.
    """
    frame = jax.eval_shape(lambda key: dynamics.draw(dynamics.reset(key)), jax.random.key(0)).shape

    def reset(key: jax.Array) -> tuple[Seen, jax.Array]:
        inner = dynamics.reset(key)
        frames = jnp.tile(dynamics.draw(inner), stack)
        return Seen(inner, frames), frames

    def step(key: jax.Array, state: Seen, action: jax.Array) -> tuple[Seen, jax.Array, jax.Array, jax.Array]:
        def once(carried: Any, key: jax.Array) -> tuple[Any, None]:
            inner, total, done = carried
            moved, reward, ended = dynamics.step(key, inner, action)
            inner = jax.tree.map(lambda old, new: jnp.where(done, old, new), inner, moved)
            return (inner, total + jnp.where(done, 0, reward), done | ended), None

        begun = (state.inner, jnp.float32(0), jnp.bool(False))
        (inner, reward, done), _ = jax.lax.scan(once, begun, jax.random.split(key, repeat))
        frames = jnp.concatenate([state.frames[..., frame[-1] :], dynamics.draw(inner)], axis=-1)
        return Seen(inner, frames), frames, reward, done

    length = -(-dynamics.length // repeat)
    scale = dynamics.scale / repeat
    return Environment(name, reset, step, frame, stack, dynamics.actions, length, scale)


class Swing(NamedTuple):
    """State of the pendulum.

    angle: from upright, in radians, positive to the left.
    speed: of the angle, radians in a second.
    """

    angle: jax.Array
    speed: jax.Array


def pendulum(size: int) -> Dynamics:
    """Returns Gym's Pendulum-v1: swing up and stay there, with torques of 2 at most; -16.3 is the worst reward.

    Args:
      size: S.
    """
    gravity, step_seconds, fastest, strongest = 10.0, 0.05, 8.0, 2.0

    def reset(key: jax.Array) -> Swing:
        high = jnp.array([jnp.pi, 1.0])
        return Swing(*jax.random.uniform(key, (2,), minval=-high, maxval=high))

    def step(key: jax.Array, state: Swing, action: jax.Array) -> tuple[Swing, jax.Array, jax.Array]:
        del key
        torque = strongest * jnp.clip(action[0], -1, 1)
        away = (state.angle + jnp.pi) % (2 * jnp.pi) - jnp.pi
        reward = -(away**2 + 0.1 * state.speed**2 + 0.001 * torque**2)
        speed = state.speed + (1.5 * gravity * jnp.sin(state.angle) + 3 * torque) * step_seconds
        speed = jnp.clip(speed, -fastest, fastest)
        return Swing(state.angle + speed * step_seconds, speed), reward, jnp.bool(False)

    def draw(state: Swing) -> jax.Array:
        tip = 0.75 * jnp.stack([-jnp.sin(state.angle), jnp.cos(state.angle)])
        return drawing.picture(drawing.line(size, jnp.zeros(2), tip, 0.2))

    return Dynamics(reset, step, draw, actions=1, length=200, scale=1 / 16)


def gymnax(name: str, size: int) -> Dynamics:
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


def make(name: str, size: int, repeat: int, stack: int) -> Environment:
    """Makes the environment of a task.

    Args:
      name: "pendulum", "gymnax:NAME" or "control:DOMAIN-TASK".
      size: S.
      repeat: how often an action is repeated.
      stack: F.

    Raises:
      SystemExit: where there is no such task, or a package is missing.
    """
    kind, _, which = name.partition(":")
    if name == "pendulum":
        return seen(name, pendulum(size), repeat, stack)
    if kind == "gymnax":
        return seen(name, gymnax(which, size), repeat, stack)
    if kind == "control":
        from experiments.pbt_rl import control

        return control.environment(name, which, size, repeat, stack)
    guess = nearest(kind, ("pendulum", "gymnax", "control"))
    raise SystemExit(f"task {name!r} is unknown; {guess}expected pendulum, gymnax:NAME or control:DOMAIN-TASK")
