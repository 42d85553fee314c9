"""The stitching experiment over seeds: a row for each, and what the differences are with their intervals.

    python -m experiments.stitching.seeds [--preset NAME] [--seeds N] [--out DIR]

Seeds that the folder holds already are read, those that were cut off are continued.
"""

from collections.abc import Sequence
from typing import Any

from experiments.loading import identity_of
from experiments.repeats import CONFIDENCE, Experiment, interval, over_seeds
from experiments.report import table
from experiments.stitching.pipeline import run
from experiments.stitching.presets import PRESETS
from experiments.stitching.reporting import report
from experiments.stitching.starting import load

EXPERIMENT = Experiment("stitching", PRESETS, load, identity_of, run, report)


def summary(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Gathers the results of seeds.

    Args:
      results: of each seed, as `result.json` holds them.

    Returns:
      "rows", one for each seed; "differences" of the hypervolume on test between the front and everything else, and
      between what was retrained of the front and of the parents, each as `interval` gives it; "dominating", in how many
      seeds a stitched network with layers of several parents dominates a parent on test, as it came out of the search;
      and "dominating_retrained", in how many retrained ones do.
    """
    rows, evolved = [], next(iter(results[0]["fronts"]))
    for result in results:
        again = result["retrained"]
        rows.append(
            {
                "seed": result["seed"],
                "parents": {
                    entry["name"]: [entry["valid"], entry["test"], entry["macs"]] for entry in result["parents"]
                },
                "front": len(result["front"]),
                "stitched": sum(entry["stitches"] > 0 and len(entry["parents"]) > 1 for entry in result["front"]),
                "dominating": _dominating(result["front"]),
                "dominating_retrained": [] if again is None else _dominating(again["front"]),
                "hypervolume": {k: v for k, v in result["hypervolume"].items() if k != "reference"},
                "distinct": result["searches"][evolved]["distinct_evaluations"],
            }
        )
    trained = [name for name in rows[0]["hypervolume"] if name.endswith("retrained too")]
    pairs = [(evolved, name) for name in rows[0]["hypervolume"] if name != evolved and name not in trained]
    if trained:
        pairs.append(("front, retrained too", "parents, retrained too"))
    return {
        "rows": rows,
        "differences": {
            f"{one} - {other}": interval([row["hypervolume"][one] - row["hypervolume"][other] for row in rows])
            for one, other in pairs
        },
        "dominating": sum(bool(row["dominating"]) for row in rows),
        "dominating_retrained": sum(bool(row["dominating_retrained"]) for row in rows),
    }


def _dominating(front: list[dict[str, Any]]) -> list[str]:
    return [f"{entry['name']} over {', '.join(entry['dominates'])}" for entry in front if entry["dominates"]]


def _print(found: dict[str, Any]) -> None:
    rows = []
    for row in found["rows"]:
        parents = [f"{valid:.1%} / {test:.1%}" for valid, test, _ in row["parents"].values()]
        volumes = [f"{volume:.4f}" for volume in row["hypervolume"].values()]
        dominating = f"{len(row['dominating'])} ({len(row['dominating_retrained'])})"
        rows.append(
            (row["seed"], *parents, f"{row['front']} ({row['stitched']})", dominating, row["distinct"], *volumes)
        )
    first = found["rows"][0]
    columns = (
        "seed",
        *(name.split("[")[0] for name in first["parents"]),
        "front (stitched)",
        "dominating (retrained)",
        "distinct",
        *first["hypervolume"],
    )
    table("parents: valid / test; hypervolume on test", columns, rows)
    rows = []
    for name, one in found["differences"].items():
        between = "" if one["low"] is None else f"{one['low']:+.4f} to {one['high']:+.4f}"
        rows.append((name, f"{one['mean']:+.4f}", between, f"{one['better']} of {one['of']}"))
    table("differences of hypervolume", ("difference", "mean", f"{CONFIDENCE:.0%} interval", "above 0"), rows)
    count = len(found["rows"])
    print(
        f"a stitched network with layers of several parents dominates a parent on test in {found['dominating']} of "
        f"{count} seeds, retrained in {found['dominating_retrained']}"
    )


def main() -> None:
    """Runs the seeds and prints what they have in common."""
    over_seeds(EXPERIMENT, __doc__ or "", summary, _print)


if __name__ == "__main__":
    main()
