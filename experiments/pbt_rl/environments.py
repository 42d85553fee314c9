"""Environments as pure functions of a key, a state and an action: what happens, and how it is drawn.

Frames of a step are stacked as in DrQ-v2 (arXiv 2107.09645), an action is repeated as there. S is the side of a frame
in pixels, C its number of channels, F frames are stacked, A is the number of entries of an action.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

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
