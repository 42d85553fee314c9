"""Environments that go on and on: steps, the ends of episodes, and what is remembered of them.

E environments run side by side, S is the side of a frame, F frames of C channels make an observation, A is the number
of entries of an action.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.pbt_rl.environments import Environment
from experiments.pbt_rl.replay import Rows
from jaxevo.programs import numbered_keys

PyTree = Any


class Life(NamedTuple):
    """Where E environments are.

    state: of the environments.
    observations: uint8 [E, S, S, F * C].
    ages: int32 [E], steps since the episode began.
    last: bool [E], whether the episode has ended, so that the next step begins another.
    """

    state: PyTree
    observations: Any
    ages: Any
    last: Any


def begin(environment: Environment, key: jax.Array, count: int) -> Life:
    """Begins E episodes.

    Args:
      environment: what they are of.
      key: environment i begins with `fold_in(key, i)`.
      count: E.
    """
    keys = numbered_keys(key, count)
    if environment.host:
        begun = _stacked([environment.reset(keys[index]) for index in range(count)])
    else:
        begun = jax.vmap(environment.reset)(keys)
    state, observations = begun
    return Life(state, observations, jnp.zeros(count, jnp.int32), jnp.zeros(count, bool))


def advance(environment: Environment, key: jax.Array, life: Life, actions: Any) -> tuple[Life, Rows]:
    """Takes a step in each environment, or begins an episode where the last one has ended.

    Args:
      environment: traced, unless it runs on the host.
      key: environment i uses `fold_in(key, i)`.
      life: where they are.
      actions: [E, A] in [-1, 1].

    Returns:
      Where they are then, and what there is to remember; rewards are scaled.
    """
    count = len(life.ages)
    keys = numbered_keys(key, count)
    if environment.host:
        moved = _on_host(environment, keys, life, np.asarray(actions))
    else:
        moved = jax.vmap(lambda *of_one: _one(environment, *of_one))(
            keys, life.state, life.observations, life.last, actions
        )  # fmt: skip
    state, observations, rewards, done = moved
    newest = life.observations[..., -environment.frame[-1] :]
    rows = Rows(newest, life.ages, actions, rewards * environment.scale, done, life.last)
    ages = jnp.where(life.last, 0, life.ages + 1)
    last = ~life.last & (done | (ages >= environment.length))
    return Life(state, observations, ages, last), rows


def _one(environment: Environment, key: jax.Array, state: Any, observation: Any, last: Any, action: Any) -> Any:
    del observation
    reset_key, step_key = jax.random.split(key)
    moved, seen, reward, done = environment.step(step_key, state, action)
    fresh = environment.reset(reset_key)
    state, seen = jax.tree.map(lambda new, old: jnp.where(last, new, old), fresh, (moved, seen))
    return state, seen, jnp.where(last, 0, reward), done & ~last


def _on_host(environment: Environment, keys: jax.Array, life: Life, actions: np.ndarray) -> Any:
    last, found = np.asarray(life.last), []
    for index in range(len(last)):
        reset_key, step_key = jax.random.split(keys[index])
        if last[index]:
            found.append((*environment.reset(reset_key), np.float32(0), np.bool_(False)))
        else:
            state = jax.tree.map(lambda leaf, i=index: np.asarray(leaf)[i], life.state)
            found.append(environment.step(step_key, state, actions[index]))
    return _stacked(found)


def _stacked(found: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *found)
