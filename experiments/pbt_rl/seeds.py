"""The experiment over seeds: returns of each method with intervals, and PBT-NAS against each of the others.

    python -m experiments.pbt_rl.seeds [--preset NAME] [--data TASK] [--seeds N] [--out DIR]

Seeds that the folder holds already are read, those that were cut off are continued.
"""

from collections.abc import Sequence
from typing import Any

from experiments.pbt_rl.pipeline import run
from experiments.pbt_rl.presets import PRESETS
from experiments.pbt_rl.reporting import report
from experiments.pbt_rl.starting import identity_of, load
from experiments.repeats import Experiment, interval, over_seeds
from experiments.report import table

EXPERIMENT = Experiment("pbt_rl", PRESETS, load, identity_of, run, report)


def summary(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Gathers the results of seeds.

    Args:
      results: of each seed, as `result.json` holds them.

    Returns:
      "methods": by method the tested returns of the seeds' best agents, with their interval; "more": by other method
      the interval of what the first one's return is above.
    """
    names = list(results[0]["methods"])
    tests = {name: [result["methods"][name]["test"] for result in results] for name in names}
    known = {name: [value for value in values if value is not None] for name, values in tests.items()}
    pairs = {name: list(zip(tests[names[0]], tests[name], strict=True)) for name in names[1:]}
    return {
        "methods": {name: {"seeds": tests[name], **interval(values)} for name, values in known.items() if values},
        "more": {
            name: interval(differences)
            for name, both in pairs.items()
            if (differences := [one - other for one, other in both if None not in (one, other)])
        },
    }


def _print(found: dict[str, Any]) -> None:
    rows = []
    for name, entry in found["methods"].items():
        shown = ", ".join("diverged" if value is None else f"{value:.1f}" for value in entry["seeds"])
        more = found["more"].get(name)
        rows.append((name, _with_bounds(entry), shown, "" if more is None else _with_bounds(more)))
    table("return of the best agent, tested", ("method", "mean", "seeds", "PBT-NAS above this"), rows)


def _with_bounds(one: dict[str, Any]) -> str:
    bounds = "" if one["low"] is None else f" ({one['low']:.1f} to {one['high']:.1f})"
    return f"{one['mean']:.1f}{bounds}"


def main() -> None:
    """Runs the seeds and prints what they have in common."""
    over_seeds(EXPERIMENT, __doc__ or "", summary, _print, preset="small", count=3)


if __name__ == "__main__":
    main()
