"""The stitching experiment over seeds: a row for each, and what the differences are with their intervals.

    python -m experiments.stitching.seeds [--preset NAME] [--seeds N] [--out DIR]

Seeds that the folder holds already are read, those that were cut off are continued.
"""

import argparse
import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from scipy import stats

from experiments.folder import claim
from experiments.report import table, versions, write_json
from experiments.stitching.pipeline import run
from experiments.stitching.presets import PRESETS, Settings
from experiments.stitching.reporting import report
from experiments.stitching.starting import identity_of, load
from jaxevo.data import Dataset

#: How sure the intervals are.
CONFIDENCE = 0.95


def finished(settings: Settings, preset: str, dataset: Dataset, seed: int, path: pathlib.Path) -> dict[str, Any]:
    """Returns the result of a seed; runs or continues it where it is not there yet."""
    with claim(path, identity_of(settings, preset, seed, dataset), resume=True) as folder:
        known = path / "result.json"
        if not known.exists():
            report(settings, dataset, seed, folder, run(settings, dataset, seed, folder))
            # Programs of a seed serve no other one: its networks are closed over as graphs.
            jax.clear_caches()
        return json.loads(known.read_text())


def summary(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Gathers the results of seeds.

    Args:
      results: of each seed, as `result.json` holds them.

    Returns:
      "rows", one for each seed; "differences" of the hypervolume on test between the front and everything else, each
      with its mean, a t interval of 95% and how often it is above 0; and "dominating", in how many seeds a stitched
      network with layers of several parents dominates a parent on test, as it came out of the search or retrained.
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
    others = [name for name in rows[0]["hypervolume"] if name != evolved]
    return {
        "rows": rows,
        "differences": {
            f"{evolved} - {name}": _interval([row["hypervolume"][evolved] - row["hypervolume"][name] for row in rows])
            for name in others
        },
        "dominating": sum(bool(row["dominating"]) for row in rows),
        "dominating_retrained": sum(bool(row["dominating_retrained"]) for row in rows),
    }


def _dominating(front: list[dict[str, Any]]) -> list[str]:
    return [f"{entry['name']} over {', '.join(entry['dominates'])}" for entry in front if entry["dominates"]]


def _interval(values: list[float]) -> dict[str, Any]:
    mean, count = float(np.mean(values)), len(values)
    low = high = None
    if count > 1:
        low, high = map(float, stats.t.interval(CONFIDENCE, count - 1, mean, max(stats.sem(values), 1e-12)))
    return {"mean": mean, "low": low, "high": high, "above": sum(value > 0 for value in values), "of": count}


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
        interval = "" if one["low"] is None else f"{one['low']:+.4f} to {one['high']:+.4f}"
        rows.append((name, f"{one['mean']:+.4f}", interval, f"{one['above']} of {one['of']}"))
    table("differences of hypervolume", ("difference", "mean", f"{CONFIDENCE:.0%} interval", "above 0"), rows)
    count = len(found["rows"])
    print(
        f"a stitched network with layers of several parents dominates a parent on test in {found['dominating']} of "
        f"{count} seeds, retrained in {found['dominating_retrained']}"
    )


def main() -> None:
    """Runs the seeds and prints what they have in common."""
    parser = argparse.ArgumentParser(
        "python -m experiments.stitching.seeds",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--preset", choices=list(PRESETS), default="small", help="what to run (default: %(default)s)")
    parser.add_argument("--data", metavar="NAME", help="data set instead of the preset's own")
    parser.add_argument("--seeds", metavar="N", type=int, default=5, help="seeds 0 to N - 1 (default: %(default)s)")
    parser.add_argument(
        "--out", metavar="DIR", type=pathlib.Path, help="folder of results (default: runs/seeds-PRESET)"
    )
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error(f"--seeds is {options.seeds}, expected at least 1")
    settings = PRESETS[options.preset]
    settings = settings if options.data is None else dataclasses.replace(settings, data=options.data)
    out = options.out or pathlib.Path("runs") / f"seeds-{options.preset}"
    dataset = load(settings)
    results = [finished(settings, options.preset, dataset, seed, out / f"seed-{seed}") for seed in range(options.seeds)]
    found = summary(results)
    write_json(out / "seeds.json", {**found, "versions": versions()})
    _print(found)


if __name__ == "__main__":
    main()
