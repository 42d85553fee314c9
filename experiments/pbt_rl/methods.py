"""PBT-NAS and its baselines with the same budget (arXiv 2307.15621, section 4)."""

import dataclasses
from collections.abc import Callable

from experiments.pbt_rl import agents
from experiments.pbt_rl.agents import Agent
from experiments.pbt_rl.presets import Settings
from jaxevo import pbt, search
from jaxevo.network import Member


@dataclasses.dataclass(frozen=True)
class Method:
    """How the members of a population come and go.

    replaces: whether the worst are replaced.
    mutates: whether children are mutations instead of mixtures.
    """

    replaces: bool = True
    mutates: bool = False


METHODS = {
    "PBT-NAS": Method(),
    "random search": Method(replaces=False),
    "mutation": Method(mutates=True),
}


def strategy_of(
    name: str, settings: Settings, architecture: Agent, begin: Callable[[Member], Member]
) -> search.Strategy:  # fmt: skip
    """Returns the strategy of a method.

    Args:
      name: one of `METHODS`.
      settings: of the run.
      architecture: of the agents.
      begin: gives members their first optimiser states.
    """
    method = METHODS[name]
    space = agents.space(
        architecture, shrink=settings.shrink, perturb=settings.perturb, probability=settings.probability
    )  # fmt: skip
    return search.replace_worst(
        space, settings.population, settings.fraction if method.replaces else 0.0,
        breeding=pbt.mutation(architecture) if method.mutates else None, begin=begin,
    )  # fmt: skip
