"""Populations whose architectures mix while they train: PBT-NAS, its baselines and ablations, and their pictures.

Source: Chebykin et al. 2023 (arXiv 2307.15621), sections 4 and 5.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxevo import pbt, plots, search
from jaxevo.network import Member
from jaxevo.plots.look import COLORS, FAINT


@dataclasses.dataclass(frozen=True)
class Population:
    """A population, and how its members are replaced; as published where nothing else is said.

    members: how many.
    fraction: share that is replaced by children of as large a share.
    probability: of each layer to be taken over.
    shrink, perturb: of what is taken over.
    """

    members: int
    fraction: float = 0.25
    probability: float = 0.25
    shrink: float = 0.4
    perturb: float = 0.1


@dataclasses.dataclass(frozen=True)
class Method:
    """How the members of a population come and go.

    replaces: whether the worst are replaced.
    mates: see `search.replace_worst`.
    mutates: whether children are mutations instead of mixtures.
    factors: shrink and perturb, where they are not those of the population.
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
    name: str, population: Population, architecture: pbt.Architecture, begin: Callable[[Member], Member]
) -> search.Strategy:
    """Returns the strategy of a method.

    Args:
      name: one of `METHODS`.
      population: its size and settings.
      architecture: what is searched.
      begin: gives members their first optimiser state.
    """
    method = METHODS[name]
    shrink, perturb = method.factors or (population.shrink, population.perturb)
    space = pbt.layers(architecture, shrink=shrink, perturb=perturb, probability=population.probability)
    return search.replace_worst(
        space, population.members, population.fraction if method.replaces else 0.0, mates=method.mates,
        breeding=pbt.mutation(architecture) if method.mutates else None, begin=begin,
    )  # fmt: skip


def place_of(name: str) -> str:
    """Returns what files of a method are called."""
    return name.lower().replace(" ", "-")


def chosen(architecture: pbt.Architecture, genome: Any) -> dict[str, Any]:
    """Returns what a genome chooses, by gene."""
    return {gene.name: gene.options[int(index)] for gene, index in zip(architecture.genes, genome, strict=True)}


def draw_population(
    folder: pathlib.Path, best: Mapping[str, Sequence[float]], members: Sequence[pbt.Descent], label: str, *, sign: int
) -> None:
    """Draws `curves.png`, scores generation by generation, and `lineage.png`, who was replaced by a mixture of whom.

    Args:
      folder: where the pictures go.
      best: of each method, the number of the best member.
      members: of the first method, all of them; their scores are drawn faintly.
      label: what the numbers are.
      sign: what scores are multiplied by to be such numbers; -1 where smaller is better, which are drawn on a scale of
        logarithms.
    """
    axes = plots.canvas()
    for member in members:
        values = [np.nan if score is None else sign * score for score in member.scores]
        axes.plot(range(member.born, member.died + 1), values, color=FAINT, linewidth=1, marker=".", zorder=1)
    for index, (name, values) in enumerate(best.items()):
        axes.plot(range(1, len(values) + 1), values, color=COLORS[index % len(COLORS)], label=name, zorder=2)
    axes.set(xlabel="generation", ylabel=label, yscale="log" if sign < 0 else "linear")
    axes.legend(frameon=False)
    axes.figure.savefig(folder / "curves.png")
    plots.lineage(plots.canvas(9, 5), members).figure.savefig(folder / "lineage.png")
