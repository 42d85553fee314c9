"""The end of a run: heads and ensembles on test, the tables, `result.json` and pictures."""

import dataclasses
from typing import Any

import jax
import numpy as np

from experiments.folder import RunFolder
from experiments.pruning.explaining import explain
from experiments.pruning.figures import draw_fronts
from experiments.pruning.pipeline import Outcome
from experiments.pruning.presets import Settings
from experiments.pruning.scoring import (
    SPLITS,
    Entry,
    area,
    ensembles,
    entries,
    examples_of,
    hypervolume_of,
    voters,
)
from experiments.pruning.starting import Task
from experiments.report import table, versions, write_json
from jaxevo import evaluation

#: Shares of active units of which the best head is shown.
SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)

DETECTORS = {
    "max softmax": evaluation.max_softmax,
    "ODIN": evaluation.odin(),
    "ODIN, inputs moved by 0.01": evaluation.odin(epsilon=0.01),
    "energy": evaluation.energy(),
}


def report(
    settings: Settings, task: Task, seed: int, folder: RunFolder, outcome: Outcome, published: np.ndarray | None = None
) -> dict[str, Any]:
    """Writes and prints what a run found.

    Everything was chosen on valid before; test is scored here, once, and nothing is chosen on it.

    Args:
      settings, seed: of the run.
      task: its test splits are used here only.
      folder: where everything is written.
      outcome: what the run found.
      published: a published front [n, 3] to draw beside ours, or None.

    Returns:
      What `result.json` holds.
    """
    with folder.phase("report"):
        examples = examples_of(outcome, task, folder.path)
        fronts = {name: found.front for name, found in outcome.searches.items()}
        scored = {name: entries(settings, outcome, examples, front.genomes) for name, front in fronts.items()}
        whole = entries(settings, outcome, examples, outcome.references)
        front = scored["nsga2"]
        quarter = best_within(front, 0.25)
        result = {
            "experiment": "pruning",
            "seed": seed,
            "data": task.known.name,
            "settings": dataclasses.asdict(settings),
            "features": int(outcome.space.inputs.shape[0]),
            "all_units": {"heads": whole, **{which: _mean(whole, which) for which in SPLITS}},
            "front": front,
            "random": scored["random search"],
            "evaluations": {name: found.history[-1]["evaluations"] for name, found in outcome.searches.items()},
            "epochs": {name: found.history[-1]["epochs"] for name, found in outcome.searches.items()},
            "best_at_a_quarter": None if quarter is None else front[quarter],
            "hypervolume": {
                which: {name: hypervolume_of(found, which) for name, found in scored.items()} for which in SPLITS
            },
            "ensembles": ensembles(settings, outcome, examples, fronts["nsga2"].genomes, front),
            "detectors": _detectors(outcome, examples["test"], fronts["nsga2"].genomes, front),
            "explanation": explain(settings, task, outcome, folder.path),
        }
    result |= {"seconds": folder.seconds, "versions": versions()}
    draw_fronts(folder.path, {"random search": scored["random search"], "front": front, "all units": whole}, published)
    write_json(folder.path / "result.json", result)
    _print(result, folder)
    return result


def best_within(found: list[Entry], share: float) -> int | None:
    """Returns the index of the entry best on valid of those with at most such a share active; None where none is."""
    able = [index for index, entry in enumerate(found) if entry["active_share"] <= share]
    return max(able, key=lambda i: found[i]["valid"]["accuracy"]) if able else None


def _mean(found: list[Entry], which: str) -> dict[str, float]:
    return {name: float(np.mean([entry[which][name] for entry in found])) for name in found[0][which]}


def _detectors(outcome: Outcome, test: Any, members: Any, front: list[Entry]) -> dict[str, float]:
    """Returns the AUROC of each detector on test, of the head that is best in accuracy on valid."""
    best = int(np.argmax([entry["valid"]["accuracy"] for entry in front]))
    network = voters(outcome, jax.tree.map(lambda leaf: leaf[best : best + 1], members))[0]
    return {name: area(detector, network, test) for name, detector in DETECTORS.items()}


def _print(result: dict[str, Any], folder: RunFolder) -> None:
    rows = [_row("all units, mean", {**result["all_units"], "active_share": 1.0, "active": ""})]
    for share in SHARES:
        index = best_within(result["front"], share)
        if index is not None:
            rows.append(_row(f"front, best on valid up to {share:.0%}", result["front"][index]))
    columns = ("head", "active", "share", "accuracy, valid", "test", "AUROC, valid", "test")
    table(f"{result['data']}, seed {result['seed']}, front of {len(result['front'])}", columns, rows)
    rows = [
        (
            f"bin {index + 1}: {len(row['members'])} members",
            f"{row['test']['accuracy']:.1%}",
            f"{row['test']['best_accuracy']:.1%}",
            f"{row['test']['auroc']:.4f}",
            f"{row['test']['best_auroc']:.4f}",
        )
        for index, row in enumerate(result["ensembles"])
    ]
    table("ensembles of the front on test", ("vote", "accuracy", "best member", "AUROC", "best member"), rows)
    rows = [
        (name, count, result["epochs"][name], *(f"{result['hypervolume'][which][name]:.4f}" for which in SPLITS))
        for name, count in result["evaluations"].items()
    ]
    table("searches", ("search", "heads", "epochs", "hypervolume, valid", "test"), rows)
    table(
        "AUROC on test of the front's most accurate head", ("detector", "AUROC"),
        [(name, f"{value:.4f}") for name, value in result["detectors"].items()],
    )  # fmt: skip
    print(f"seconds: {result['seconds']}")
    print(f"results are in {folder.path}")


def _row(name: str, entry: Entry) -> tuple[Any, ...]:
    shown = [f"{entry[which]['accuracy']:.1%}" for which in SPLITS] + [
        f"{entry[which]['auroc']:.4f}" for which in SPLITS
    ]
    return (name, entry["active"], f"{entry['active_share']:.1%}", *shown)
