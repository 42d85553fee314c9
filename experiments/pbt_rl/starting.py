"""What a run begins with: its task, its agents, what makes it this run, and its keys."""

import dataclasses
from typing import Any

import jax

from experiments.loading import check_plots
from experiments.pbt_rl import tasks
from experiments.pbt_rl.environments import Environment
from experiments.pbt_rl.presets import Settings


def load(settings: Settings) -> Environment:
    """Makes the environment of a run, and says in one line what is missing before any work is done.

    Raises:
      SystemExit: where there is no such task, or a package is not there.
    """
    check_plots()
    return tasks.make(settings.data, settings.size, settings.repeat, settings.stack)


def identity_of(settings: Settings, preset: str, seed: int, environment: Environment) -> dict[str, Any]:
    """Returns what makes a run this run."""
    return {**dataclasses.asdict(settings), "preset": preset, "seed": seed, "task": environment.name}


def keys_of(seed: int) -> dict[str, jax.Array]:
    """Returns the keys of everything that is drawn; all methods share one, and so begin with the same members."""
    names = ("methods", "test", "alone")
    return dict(zip(names, jax.random.split(jax.random.key(seed), len(names)), strict=True))
