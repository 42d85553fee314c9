"""The subspace experiment over seeds: a row for each, and what the differences are with their intervals.

    python -m experiments.subspace.seeds [--preset NAME] [--data NAME] [--seeds N] [--out DIR]

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
from experiments.subspace.pipeline import run
from experiments.subspace.presets import PRESETS, Settings
from experiments.subspace.reporting import report
from experiments.subspace.starting import identity_of, load
from jaxevo.data import Dataset

#: How sure the intervals are.
CONFIDENCE = 0.95

#: What is compared, better minus worse where sparse children help: pairs of paths into a result.
PAIRS = {
    "greedy sparse - parent": (("generation", "sparse", "greedy"), ("parent",)),
    "greedy sparse - parent at its best temperature": (("generation", "sparse", "greedy"), ("tempered",)),
    "greedy sparse - greedy dense": (("generation", "sparse", "greedy"), ("generation", "dense", "greedy")),
}


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
      "rows", one for each seed, scores on test; "differences" of each of `PAIRS` in NLL (better below 0) and accuracy
      (better above 0), each with its mean, a t interval of 95% and in how many seeds it is better; and "window", the
      ratios of critical sigmas and norms over the dense one's, of each seed.
    """
    rows = [
        {
            "seed": result["seed"],
            "parent": result["parent"]["test"],
            "tempered": result["tempered"]["test"],
            **{
                kind: {
                    "sigma": found["sigma"],
                    **{name: found[name]["test"] for name in ("best", "recombined", "greedy", "vote")},
                    "evolved": result["evolution"][kind]["best"]["test"],
                }
                for kind, found in result["generation"].items()
            },
            "ratios": result["window"]["ratios"],
            "norm_ratios": result["window"]["norm_ratios"],
        }
        for result in results
    ]
    differences = {
        name: {
            metric: _interval([_test(r, a)[metric] - _test(r, b)[metric] for r in results], direction)
            for metric, direction in (("nll", -1), ("accuracy", 1))
        }
        for name, (a, b) in PAIRS.items()
    }
    return {"rows": rows, "differences": differences}


def _test(result: dict[str, Any], path: Sequence[str]) -> dict[str, float]:
    for name in path:
        result = result[name]
    return result["test"]


def _interval(values: list[float], direction: int) -> dict[str, Any]:
    mean, count = float(np.mean(values)), len(values)
    low = high = None
    if count > 1:
        low, high = map(float, stats.t.interval(CONFIDENCE, count - 1, mean, max(stats.sem(values), 1e-12)))
    return {"mean": mean, "low": low, "high": high, "better": sum(direction * v > 0 for v in values), "of": count}


def _print(found: dict[str, Any]) -> None:
    rows = []
    for row in found["rows"]:
        entries = [row["parent"], *(row[kind]["greedy"] for kind in ("sparse", "dense"))]
        scores = [f"{one['accuracy']:.2%} / {one['nll']:.4f}" for one in entries]
        sigmas = [f"{row[kind]['sigma']:g}" for kind in ("sparse", "dense")]
        ratios = ", ".join(f"{name}: {ratio:.1f}" for name, ratio in row["ratios"].items())
        norms = ", ".join(f"{name}: {ratio:.2f}" for name, ratio in row["norm_ratios"].items())
        rows.append((row["seed"], *scores, *sigmas, ratios, norms))
    table(
        "accuracy / NLL on test; window: sparse over dense at one point lost",
        ("seed", "parent", "greedy sparse", "greedy dense", "sigma sparse", "dense", "window, sigma", "norm"),
        rows,
    )
    rows = [
        (
            f"{name}, {metric}",
            f"{one['mean']:+.5f}",
            "" if one["low"] is None else f"{one['low']:+.5f} to {one['high']:+.5f}",
            f"{one['better']} of {one['of']}",
        )
        for name, metrics in found["differences"].items()
        for metric, one in metrics.items()
    ]
    table("differences on test", ("difference", "mean", f"{CONFIDENCE:.0%} interval", "better"), rows)


def main() -> None:
    """Runs the seeds and prints what they have in common."""
    parser = argparse.ArgumentParser(
        "python -m experiments.subspace.seeds",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--preset", choices=list(PRESETS), default="small", help="what to run (default: %(default)s)")
    parser.add_argument("--data", metavar="NAME", help="data set instead of the preset's own")
    parser.add_argument("--seeds", metavar="N", type=int, default=5, help="seeds 0 to N - 1 (default: %(default)s)")
    parser.add_argument(
        "--out", metavar="DIR", type=pathlib.Path, help="folder of results (default: runs/subspace-seeds-PRESET)"
    )
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error(f"--seeds is {options.seeds}, expected at least 1")
    settings = PRESETS[options.preset]
    settings = settings if options.data is None else dataclasses.replace(settings, data=options.data)
    out = options.out or pathlib.Path("runs") / f"subspace-seeds-{options.preset}"
    dataset = load(settings)
    results = [finished(settings, options.preset, dataset, seed, out / f"seed-{seed}") for seed in range(options.seeds)]
    found = summary(results)
    write_json(out / "seeds.json", {**found, "versions": versions()})
    _print(found)


if __name__ == "__main__":
    main()
