"""The experiment over seeds: a row for each method, and PBT-NAS against each of the others.

    python -m experiments.pbt_gan.seeds [--preset NAME] [--data NAME] [--seeds N] [--out DIR]

Seeds that the folder holds already are read, those that were cut off are continued.
"""

from collections.abc import Sequence
from typing import Any

from experiments.loading import identity_of
from experiments.pbt_gan.pipeline import run
from experiments.pbt_gan.presets import PRESETS
from experiments.pbt_gan.reporting import report
from experiments.pbt_gan.starting import load
from experiments.repeats import Experiment, interval, over_seeds
from experiments.report import table

EXPERIMENT = Experiment("pbt_gan", PRESETS, load, identity_of, run, report)
SPLITS = ("valid", "test")


def summary(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Gathers the results of seeds.

    Args:
      results: of each seed, as `result.json` holds them.

    Returns:
      "methods": by method and split, distances of the seeds, means over the last steps, with their interval;
      "less": by method and split, the interval of PBT-NAS' distance less the method's.
    """
    names = list(results[0]["methods"])
    values = {
        name: {which: [result["methods"][name]["last"][which] for result in results] for which in SPLITS}
        for name in names
    }
    first = values[names[0]]
    return {
        "methods": {
            name: {which: {"seeds": each[which], **interval(each[which], -1)} for which in SPLITS}
            for name, each in values.items()
        },
        "less": {
            name: {
                which: interval([a - b for a, b in zip(first[which], values[name][which], strict=True)], -1)
                for which in SPLITS
            }
            for name in names[1:]
        },
    }


def _print(found: dict[str, Any]) -> None:
    rows = []
    for name, entry in found["methods"].items():
        shown = [f"{value:.2f}" for value in entry["test"]["seeds"]]
        less = found["less"].get(name)
        rows.append(
            (
                name,
                f"{entry['valid']['mean']:.2f}",
                f"{entry['test']['mean']:.2f}",
                ", ".join(shown),
                "" if less is None else _difference(less["test"]),
                "" if less is None else f"{less['test']['better']} of {less['test']['of']}",
            )
        )
    columns = ("method", "valid", "test", "seeds on test", "PBT-NAS less this", "better")
    table("Fréchet distance, mean of the last steps", columns, rows)


def _difference(one: dict[str, Any]) -> str:
    bounds = "" if one["low"] is None else f" ({one['low']:+.2f} to {one['high']:+.2f})"
    return f"{one['mean']:+.2f}{bounds}"


def main() -> None:
    """Runs the seeds and prints what they have in common."""
    over_seeds(EXPERIMENT, __doc__ or "", summary, _print, preset="small", count=3)


if __name__ == "__main__":
    main()
