"""A run of the stitching experiment small enough for tests.

Beside what the experiment leaves behind it writes `end.npz`, every array that the run ended with, and `end.json`,
everything else, so that two runs can be compared bit for bit.
"""

import dataclasses
import pathlib
from typing import Any

from experiments.folder import claim
from experiments.parents import Parent
from experiments.stitching.pipeline import Outcome, run
from experiments.stitching.presets import PRESETS, Retraining, Search, Settings, Tuning
from experiments.stitching.reporting import report
from jaxevo import data
from tests.faults import ends

SEED = 1

SETTINGS: Settings = dataclasses.replace(
    PRESETS["quick"],
    data="digits",
    parents=(
        Parent("vgg", {"widths": (8, 12), "depths": (1, 1), "normalise": False}, epochs=2, rate=1e-2),
        Parent("resnet", {"stem": 8, "stem_stride": 1, "widths": (8,), "depths": (1,), "strides": (2,)}, 2, 1e-2),
    ),
    batch=20,
    most=2,
    votes=(0.5,),
    tuning=Tuning(epochs=1, rate=1e-3, probability=0.3),
    probability=0.5,
    search=Search("nsga2", 6),
    generations=4,
    rivals=(Search("gomea tree", 6), Search("surrogate", 3)),
    fitness_examples=300,
    retraining=Retraining(epochs=1, batch=20, rate=1e-3, steps=5, anneal=True),
    export=True,
)


def go(path: pathlib.Path, resume: bool) -> None:
    """Runs the experiment into a folder, and writes down everything that it ended with."""
    dataset = data.load(SETTINGS.data)
    with claim(path, {**dataclasses.asdict(SETTINGS), "seed": SEED}, resume) as folder:
        outcome = run(SETTINGS, dataset, SEED, folder)
        report(SETTINGS, dataset, SEED, folder, outcome)
        ends.write(path, found(outcome), numbers(outcome))


def found(outcome: Outcome) -> dict[str, Any]:
    """Returns everything of an outcome that is arrays: parameters, populations, fitness, fronts, states."""
    searches = {name: search.result for name, search in outcome.searches.items()}
    return {
        "params": outcome.merged.params,
        "parents": [parent.params for parent in outcome.parents],
        **{name: [one.state, one.population, one.front, one.best] for name, one in searches.items()},
    }


def numbers(outcome: Outcome) -> dict[str, Any]:
    """Returns histories, fits and counts of an outcome."""
    searches = outcome.searches.values()
    return {
        "histories": [s.result.history for s in searches],
        "fits": outcome.fits,
        "counts": [s.counts for s in searches],
    }
