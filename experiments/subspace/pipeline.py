"""The phases of the experiment before the report, in order: the parent, the window, one generation, several."""

from typing import NamedTuple

import jax

from experiments.folder import RunFolder
from experiments.subspace.evolving import Evolved, evolve
from experiments.subspace.generation import Generation, generate
from experiments.subspace.presets import Settings
from experiments.subspace.spaces import KINDS, Kind, Mutable
from experiments.subspace.starting import keys_of, parent_of, some
from experiments.subspace.window import Curve, measure
from jaxevo.data import Dataset
from jaxevo.network import Network


class Outcome(NamedTuple):
    """What the phases before the report give.

    parent: the trained network, as `graph.accelerate` has it.
    curves: of the critical mutation window.
    generations: one generation, by kind of mutations.
    evolved: several generations, by kind of mutations.
    """

    parent: Network
    curves: tuple[Curve, ...]
    generations: dict[Kind, Generation]
    evolved: dict[Kind, Evolved]


def run(settings: Settings, dataset: Dataset, seed: int, folder: RunFolder) -> Outcome:
    """Runs everything but the report, continuing whatever the folder holds.

    Args:
      settings: of the run.
      dataset: the parent is trained on train, children are scored and chosen on valid; test is not touched.
      seed: of everything.
      folder: where checkpoints lie.

    Returns:
      The outcome.
    """
    keys, path = keys_of(seed), folder.path
    seen, searched = jax.random.split(keys["examples"])
    with folder.phase("parent"):
        parent = Mutable.of(parent_of(settings, dataset, seed, path / "parent"), keys["masks"])
    with folder.phase("window"):
        split = some(seen, dataset.valid, settings.window.examples)
        curves = measure(keys["window"], settings, parent, split, path / "window")
    generations: dict[Kind, Generation] = {}
    evolved: dict[Kind, Evolved] = {}
    with folder.phase("generation"):
        for kind in KINDS:
            generations[kind] = generate(keys["generation"], kind, settings, parent, dataset.valid, path / "generation")
    with folder.phase("evolution"):
        split = some(searched, dataset.valid, settings.evolution.examples)
        for kind in KINDS:
            evolved[kind] = evolve(
                keys["evolution"], kind, settings, parent, split, generations[kind], path / f"evolution-{kind}"
            )
    return Outcome(parent.fast, curves, generations, evolved)
