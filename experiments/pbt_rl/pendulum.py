"""Pendulum as in Gym and gymnax (Lange 2022), whose equations are repeated here so that it needs no other package.

S is the side of a frame in pixels.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from experiments.pbt_rl import drawing
from experiments.pbt_rl.environments import Dynamics


class Swing(NamedTuple):
    """State of the pendulum.

    angle: from upright, in radians, positive to the left.
    speed: of the angle, radians in a second.
    """

    angle: jax.Array
    speed: jax.Array


def dynamics(size: int) -> Dynamics:
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
