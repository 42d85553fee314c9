"""The phases of the experiment before the report: each method trains its population."""

from typing import NamedTuple

import jax

from experiments.folder import RunFolder
from experiments.pbt_rl import agents
from experiments.pbt_rl.environments import Environment
from experiments.pbt_rl.practice import Practice
from experiments.pbt_rl.presets import Settings
from experiments.pbt_rl.starting import keys_of
from experiments.populations import place_of, strategy_of
from experiments.programs import kept
from jaxevo import pbt, search
from jaxevo.threads import processors


class Outcome(NamedTuple):
    """What the phases before the report give.

    practice: what members act and learn in.
    found: what each method found, by name.
    """

    practice: Practice
    found: dict[str, search.Result]


def run(settings: Settings, environment: Environment, seed: int, folder: RunFolder) -> Outcome:
    """Runs everything but the report, continuing whatever the folder holds.

    Args:
      settings: of the run.
      environment: what agents act in.
      seed: of everything.
      folder: where checkpoints lie.

    Returns:
      The outcome.
    """
    architecture, found = agents.agent(environment, settings.sizes), {}
    with kept(folder.path / "programs"):
        for name in settings.methods:
            with folder.phase(name):
                practice = practice_of(settings, architecture, environment)
                strategy = strategy_of(name, settings.population, architecture, practice.begin)
                place = folder.path / place_of(name)
                found[name] = search.run(
                    keys_of(seed)["methods"], strategy, practice, settings.generations, checkpoint=place
                )  # fmt: skip
    return Outcome(practice_of(settings, architecture, environment), found)


def practice_of(settings: Settings, architecture: pbt.Architecture, environment: Environment) -> Practice:
    """Returns what members act and learn in: compacted on CPUs, masked elsewhere."""
    return Practice(
        architecture, pbt.layers(architecture), environment, settings.learning, settings.course,
        masked=jax.default_backend() != "cpu", threads=processors(),
    )  # fmt: skip
