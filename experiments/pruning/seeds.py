"""The pruning experiment over seeds: a row for each, and what they have in common.

    python -m experiments.pruning.seeds [--preset NAME] [--data NAME] [--seeds N] [--out DIR]

Seeds that the folder holds already are read, those that were cut off are continued.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.pruning.pipeline import run
from experiments.pruning.presets import PRESETS
from experiments.pruning.reporting import report
from experiments.pruning.starting import identity_of, load
from experiments.repeats import Experiment, over_seeds
from experiments.report import table

EXPERIMENT = Experiment("pruning", PRESETS, load, identity_of, run, report)


def summary(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Gathers the results of seeds.

    Args:
      results: of each seed, as `result.json` holds them.

    Returns:
      "rows", one for each seed, on test; "means" of what pruning, voting and searching gain: accuracy of the best head
      at a quarter of the units less that of all units, accuracy and AUROC of the best bin's vote less those of its best
      member, and hypervolume of NSGA-II less that of random search; and in how many seeds each is at least 0.
    """
    rows = [_row(result) for result in results]
    gains = ("quarter", "vote_accuracy", "vote_auroc", "hypervolume", "hypervolume_valid")
    values = {name: [row["gains"][name] for row in rows if row["gains"][name] is not None] for name in gains}
    means = {
        name: {
            "mean": float(np.mean(known)) if known else None,
            "at_least_0": sum(value >= 0 for value in known),
            "of": len(rows),
        }
        for name, known in values.items()
    }
    return {"rows": rows, "means": means}


def _row(result: dict[str, Any]) -> dict[str, Any]:
    quarter, vote, volumes = result["best_at_a_quarter"], result["ensembles"][0]["test"], result["hypervolume"]
    whole = result["all_units"]["test"]
    return {
        "seed": result["seed"],
        "front": len(result["front"]),
        "all_units": whole,
        "quarter": None if quarter is None else {"active_share": quarter["active_share"], **quarter["test"]},
        "vote": vote,
        "hypervolume": volumes,
        "gains": {
            "quarter": None if quarter is None else quarter["test"]["accuracy"] - whole["accuracy"],
            "vote_accuracy": vote["accuracy"] - vote["best_accuracy"],
            "vote_auroc": vote["auroc"] - vote["best_auroc"],
            "hypervolume": volumes["test"]["nsga2"] - volumes["test"]["random search"],
            "hypervolume_valid": volumes["valid"]["nsga2"] - volumes["valid"]["random search"],
        },
    }


def _print(found: dict[str, Any]) -> None:
    rows = []
    for row in found["rows"]:
        quarter, vote, volumes = row["quarter"], row["vote"], row["hypervolume"]["test"]
        pruned = "-" if quarter is None else f"{quarter['accuracy']:.1%} at {quarter['active_share']:.1%}"
        rows.append(
            (
                row["seed"],
                row["front"],
                f"{row['all_units']['accuracy']:.1%} / {row['all_units']['auroc']:.4f}",
                pruned,
                f"{vote['best_accuracy']:.1%} / {vote['best_auroc']:.4f}",
                f"{vote['accuracy']:.1%} / {vote['auroc']:.4f}",
                f"{volumes['nsga2']:.4f}",
                f"{volumes['random search']:.4f}",
            )
        )
    columns = ("seed", "front", "all units", "at most a quarter", "best of top bin", "its vote", "NSGA-II", "random")
    table("accuracy / AUROC and hypervolume on test", columns, rows)
    rows = [
        (name, "" if one["mean"] is None else f"{one['mean']:+.4f}", f"{one['at_least_0']} of {one['of']}")
        for name, one in found["means"].items()
    ]
    table("gains on test", ("gain", "mean", "at least 0"), rows)


def main() -> None:
    """Runs the seeds and prints what they have in common."""
    over_seeds(EXPERIMENT, __doc__ or "", summary, _print, preset="quick", count=3)


if __name__ == "__main__":
    main()
