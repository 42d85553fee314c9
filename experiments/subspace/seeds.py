"""The subspace experiment over seeds: a row for each, and what the differences are with their intervals.

    python -m experiments.subspace.seeds [--preset NAME] [--data NAME] [--seeds N] [--out DIR]

Seeds that the folder holds already are read, those that were cut off are continued.
"""

from collections.abc import Sequence
from typing import Any

from experiments.loading import identity_of
from experiments.repeats import CONFIDENCE, Experiment, interval, over_seeds
from experiments.report import table
from experiments.subspace.pipeline import run
from experiments.subspace.presets import PRESETS
from experiments.subspace.reporting import report
from experiments.subspace.starting import load

EXPERIMENT = Experiment("subspace", PRESETS, load, identity_of, run, report)

#: What is compared, better minus worse where sparse children help: pairs of paths into a result.
PAIRS = {
    "greedy sparse - parent": (("generation", "sparse", "greedy"), ("parent",)),
    "greedy sparse - parent at its best temperature": (("generation", "sparse", "greedy"), ("tempered",)),
    "greedy sparse - greedy dense": (("generation", "sparse", "greedy"), ("generation", "dense", "greedy")),
}


def summary(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Gathers the results of seeds.

    Args:
      results: of each seed, as `result.json` holds them.

    Returns:
      "rows", one for each seed, scores on test; "differences" of each of `PAIRS` in NLL (better below 0) and accuracy
      (better above 0), each as `interval` gives it. Rows hold the ratios of critical sigmas and norms over the dense
      one's.
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
            metric: interval([_test(r, a)[metric] - _test(r, b)[metric] for r in results], direction)
            for metric, direction in (("nll", -1), ("accuracy", 1))
        }
        for name, (a, b) in PAIRS.items()
    }
    return {"rows": rows, "differences": differences}


def _test(result: dict[str, Any], path: Sequence[str]) -> dict[str, float]:
    for name in path:
        result = result[name]
    return result["test"]


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
    over_seeds(EXPERIMENT, __doc__ or "", summary, _print)


if __name__ == "__main__":
    main()
