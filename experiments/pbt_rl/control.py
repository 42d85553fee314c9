"""dm_control's tasks, drawn without a display, as functions of a key, a state and an action that run on the host.

Camera, order of repeats and frames as in DrQ-v2's code (arXiv 2107.09645): 84x84 pixels, camera 2 for quadrupeds and 0
otherwise. A state is all that MuJoCo integrates, so that a step from it gives the same bits whatever happened before.
"""

import importlib
import importlib.util
import os
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.pbt_rl.environments import Environment

#: Cameras by domain, where it is not the first.
CAMERAS = {"quadruped": 2}

#: Steps of an episode in all tasks of the suite (Tassa et al. 2018, arXiv 1801.00690).
LENGTH = 1000


class Physics(NamedTuple):
    """State of a task.

    integrated: float64 [N], what MuJoCo integrates.
    frames: uint8 [S, S, F * 3], the last frames.
    """

    integrated: np.ndarray
    frames: np.ndarray


def environment(name: str, task: str, size: int, repeat: int, stack: int) -> Environment:
    """Makes the environment of a task of dm_control's suite.

    Rewards are in [0, 1] for each step.

    Args:
      name: what messages call it.
      task: "DOMAIN-TASK", such as "walker-walk".
      size: S, side of a frame.
      repeat: how often an action is repeated.
      stack: F.

    Raises:
      SystemExit: where the package is missing, or there is no such task.
    """
    if importlib.util.find_spec("dm_control") is None:
        raise SystemExit(f'task {name} needs dm_control; install it with pip install "jaxevo[rl]"')
    # Read where dm_control is imported first.
    os.environ.setdefault("MUJOCO_GL", "egl")
    from dm_control import suite  # pyright: ignore[reportMissingImports]

    domain, _, which = task.partition("-")
    if (domain, which) not in suite.ALL_TASKS:
        raise SystemExit(f"task {name} is unknown; expected control:DOMAIN-TASK, such as control:walker-walk")
    made = suite.load(domain, which, task_kwargs={"random": 0})
    physics, rules, spec = made.physics, made.task, made.action_spec()
    substeps = round(made.control_timestep() / physics.timestep())

    def drawn() -> np.ndarray:
        return physics.render(size, size, camera_id=CAMERAS.get(domain, 0))

    def reset(key: jax.Array) -> tuple[Physics, np.ndarray]:
        rules.random.seed(np.asarray(jax.random.key_data(key)))
        with physics.reset_context():
            rules.initialize_episode(physics)
        frames = np.tile(drawn(), stack)
        return Physics(_integrated(physics), frames), frames

    def step(key: jax.Array, state: Physics, action: np.ndarray) -> tuple[Physics, np.ndarray, np.float32, np.bool_]:
        del key
        _integrate(physics, state.integrated)
        # Actions that are no numbers come from a member that diverged, and are no reason to stop.
        share = np.clip(np.nan_to_num(np.asarray(action, np.float64)), -1, 1)
        scaled = spec.minimum + (share + 1) / 2 * (spec.maximum - spec.minimum)
        reward, done = 0.0, False
        for _ in range(repeat):
            rules.before_step(scaled, physics)
            physics.step(substeps)
            rules.after_step(physics)
            reward += rules.get_reward(physics) or 0.0
            done = rules.get_termination(physics) is not None
            if done:
                break
        frames = np.concatenate([state.frames[..., 3:], drawn()], axis=-1)
        return Physics(_integrated(physics), frames), frames, np.float32(reward), np.bool_(done)

    return Environment(
        name, reset, step, (size, size, 3), stack, spec.shape[0], -(-LENGTH // repeat), 1.0, host=True
    )  # fmt: skip


def _integrated(physics: Any) -> np.ndarray:
    mujoco = importlib.import_module("mujoco")
    kind = mujoco.mjtState.mjSTATE_INTEGRATION
    state = np.empty(mujoco.mj_stateSize(physics.model.ptr, kind))
    mujoco.mj_getState(physics.model.ptr, physics.data.ptr, state, kind)
    return state


def _integrate(physics: Any, state: np.ndarray) -> None:
    mujoco = importlib.import_module("mujoco")
    mujoco.mj_setState(physics.model.ptr, physics.data.ptr, np.asarray(state), mujoco.mjtState.mjSTATE_INTEGRATION)
    physics.forward()
