"""PBT-NAS, its baselines and its ablations, all with the same budget (arXiv 2307.15621, sections 4 and 5)."""

import dataclasses
from collections.abc import Callable

from experiments.pbt_gan.presets import Settings
from jaxevo import pbt, search
from jaxevo.network import Member
from jaxevo.space import Breeding


@dataclasses.dataclass(frozen=True)
class Method:
    """How the members of a population come and go.

    replaces: whether the worst are replaced.
    mates: see `search.replace_worst`.
    mutates: whether children are mutations instead of mixtures.
    factors: shrink and perturb, where they are not those of the settings.
    """

    replaces: bool = True
    mates: str = "best"
    mutates: bool = False
    factors: tuple[float, float] | None = None


METHODS = {
    "PBT-NAS": Method(),
    "random search": Method(replaces=False),
    "mutation": Method(mutates=True),
    "no mixing": Method(mates="itself"),
    "copied exactly": Method(factors=(1.0, 0.0)),
    "reinitialised": Method(factors=(0.0, 1.0)),
}


def strategy_of(
    name: str, settings: Settings, architecture: pbt.Architecture, begin: Callable[[Member], Member]
) -> search.Strategy:
    """Returns the strategy of a method.

    Args:
      name: one of `METHODS`.
      settings: of the run.
      architecture: what is searched.
      begin: gives members their first optimiser state.
    """
    method = METHODS[name]
    shrink, perturb = method.factors or (settings.shrink, settings.perturb)
    space = pbt.layers(architecture, shrink=shrink, perturb=perturb, probability=settings.probability)
    breeding: Breeding | None = pbt.mutation(architecture) if method.mutates else None
    return search.replace_worst(
        space, settings.population, settings.fraction if method.replaces else 0.0, mates=method.mates,
        breeding=breeding, begin=begin,
    )  # fmt: skip
