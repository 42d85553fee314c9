"""Experiments over seeds: runs that are read, continued or begun, and intervals of what they have in common."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import stats

from experiments import options
from experiments.folder import RunFolder, claim
from experiments.report import versions, write_json

#: How sure the intervals are.
CONFIDENCE = 0.95

#: Fields of each seed's `result.json`.
Result = dict[str, Any]


class Experiment(NamedTuple):
    """An experiment that can be run with several seeds.

    name: as in `python -m experiments.NAME`.
    presets: its settings, dataclasses with a field `data`.
    load: `settings -> data`.
    identity: `(settings, preset, seed, data) -> what makes a run this run`.
    run: `(settings, data, seed, folder) -> outcome`, everything before the report; goes on where the folder says.
    report: `(settings, data, seed, folder, outcome)`, leaves `result.json`.
    """

    name: str
    presets: Mapping[str, Any]
    load: Callable[[Any], Any]
    identity: Callable[[Any, str, int, Any], dict[str, Any]]
    run: Callable[[Any, Any, int, RunFolder], Any]
    report: Callable[[Any, Any, int, RunFolder, Any], Any]


def over_seeds(
    experiment: Experiment,
    description: str,
    summary: Callable[[Sequence[Result]], dict[str, Any]],
    show: Callable[[dict[str, Any]], None],
    *,
    preset: str = "small",
    count: int = 5,
) -> None:
    """Runs an experiment with the seeds that the command line asks for, and shows what they have in common.

    Args:
      experiment: what is run; seeds that the folder holds already are read, those that were cut off are continued.
      description: for `--help`.
      summary: of the results, written to `seeds.json`.
      show: prints the summary.
      preset, count: the default preset and number of seeds.
    """
    asked = options.parse_seeds(experiment.name, description, experiment.presets, preset, count)
    settings = experiment.presets[asked.preset]
    settings = settings if asked.data is None else dataclasses.replace(settings, data=asked.data)
    data = experiment.load(settings)
    results = [_result(experiment, settings, asked.preset, data, seed, asked.out) for seed in range(asked.seeds)]
    found = summary(results)
    write_json(asked.out / "seeds.json", {**found, "versions": versions()})
    show(found)


def _result(experiment: Experiment, settings: Any, preset: str, data: Any, seed: int, out: pathlib.Path) -> Result:
    path = out / f"seed-{seed}"
    with claim(path, experiment.identity(settings, preset, seed, data), resume=True) as folder:
        known = path / "result.json"
        if not known.exists():
            experiment.report(settings, data, seed, folder, experiment.run(settings, data, seed, folder))
            # Programs of a seed serve no other one: its networks are closed over as graphs.
            jax.clear_caches()
        return json.loads(known.read_text())


def interval(values: Sequence[float], direction: int = 1) -> dict[str, Any]:
    """Returns the mean of differences, their t interval, and how many are better than none.

    Args:
      values: a difference for each seed.
      direction: 1 where larger is better, -1 where smaller is.

    Returns:
      "mean", "low" and "high" (None of a single value), "better" and "of", numbers of seeds.
    """
    mean, count = float(np.mean(values)), len(values)
    low = high = None
    if count > 1:
        low, high = map(float, stats.t.interval(CONFIDENCE, count - 1, mean, max(stats.sem(values), 1e-12)))
    return {"mean": mean, "low": low, "high": high, "better": sum(direction * v > 0 for v in values), "of": count}
