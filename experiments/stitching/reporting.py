"""The end of a run: fronts on test, the table, `result.json`, pictures and the best offspring."""

import dataclasses
from typing import Any

import jax
import numpy as np

from experiments.folder import RunFolder
from experiments.report import table, versions, write_json
from experiments.stitching import figures
from experiments.stitching.exporting import exported
from experiments.stitching.pipeline import MARGIN, Outcome, objectives
from experiments.stitching.presets import Settings
from experiments.stitching.scoring import (
    LATENCY_BATCH,
    Entry,
    best_of_all_parents,
    entries,
    front_of,
    scorers,
    with_latency,
    with_retraining,
)
from jaxevo import checkpoint, search, stitching
from jaxevo.data import Dataset


def report(settings: Settings, dataset: Dataset, seed: int, folder: RunFolder, outcome: Outcome) -> dict[str, Any]:
    """Writes and prints what a run found.

    Fronts are chosen on valid by the searches and scored on test here, once; nothing is chosen on test.

    Args:
      settings, seed: of the run.
      dataset: its test split is used here only.
      folder: where everything is written.
      outcome: what the run found.

    Returns:
      What `result.json` holds.
    """
    count, retrained = len(outcome.parents), None
    with folder.phase("report"):
        score = scorers(settings, outcome, dataset)
        corners = entries(outcome, score, stitching.unstitched(outcome.merged))
        fronts = {name: front_of(outcome, score, one.scored) for name, one in outcome.searches.items()}
        front = _marked(corners[:count], next(iter(fronts.values())))
        best, mixed = _best(front), best_of_all_parents(outcome, score)
        if best is not None:
            _save(folder, outcome, best)
    if settings.retraining is not None:
        with folder.phase("retraining"):
            again = with_retraining(
                settings, outcome, dataset, seed, folder.path / "retrained", corners[:count] + front
            )
            retrained = {"parents": again[:count], "front": _marked(again[:count], again[count:])}
    if settings.export:
        with folder.phase("export"):
            front = exported(outcome, front, dataset.test.inputs, folder.path / "onnx")
    with folder.phase("latency"):
        known, front = with_latency(outcome, dataset, corners), with_latency(outcome, dataset, front)
    result = {
        "experiment": "stitching",
        "seed": seed,
        "data": dataset.name,
        "settings": dataclasses.asdict(settings),
        "latency_batch": LATENCY_BATCH,
        "stitches": [fit._asdict() for fit in outcome.fits],
        "parents": known[:count],
        "ensembles": known[count:],
        "front": front,
        "fronts": fronts,
        "retrained": retrained,
        "best": best,
        "best_of_all_parents": mixed,
        "hypervolume": _hypervolumes(corners, count, fronts, retrained),
        "searches": {name: {**one.counts, **_unchanged(one.result)} for name, one in outcome.searches.items()},
        "seconds": folder.seconds,
        "versions": versions(),
    }
    _draw(settings, dataset, folder, outcome, result)
    write_json(folder.path / "result.json", result)
    _print(result, folder)
    return result


def _marked(parents: list[Entry], front: list[Entry]) -> list[Entry]:
    """Says of each stitched network with layers of several parents which parents it dominates on test."""

    def dominated(entry):
        mixed = entry["stitches"] and len(entry["parents"]) > 1
        return [
            parent["name"].split("[")[0]
            for parent in parents
            if mixed and entry["test"] >= parent["test"] and entry["macs"] < parent["macs"]
        ]

    return [{**entry, "dominates": dominated(entry)} for entry in front]


def _best(front: list[Entry]) -> Entry | None:
    """The stitched member with layers of several parents without which the front on valid would lose most."""
    points = np.array([[entry["valid"], -entry["macs"]] for entry in front])
    reference = points.min(axis=0) - 1e-3 * np.ptp(points, axis=0)
    best, most = None, -np.inf
    for index, entry in enumerate(front):
        if entry["stitches"] and len(entry["parents"]) > 1:
            alone = -search.hypervolume(np.delete(points, index, axis=0), reference)
            if alone > most:
                best, most = entry, alone
    return best


def _hypervolumes(corners: list[Entry], count: int, fronts: dict[str, list[Entry]], retrained) -> dict[str, Any]:
    """Hypervolumes on test, multiply-adds as a share of those of all parents together.

    The reference point is ten points below the weakest parent, at the multiply-adds of all parents.
    """
    total = sum(entry["macs"] for entry in corners[:count])
    reference = np.array([min(entry["test"] for entry in corners[:count]) - MARGIN, -1.0])

    def volume(found):
        points = np.array([[entry["test"], -entry["macs"] / total] for entry in found])
        return search.hypervolume(points, reference)

    volumes = {"parents": volume(corners), **{name: volume(found) for name, found in fronts.items()}}
    if retrained is not None:
        volumes["parents, retrained too"] = volume(corners + retrained["parents"])
        volumes["front, retrained too"] = volume(next(iter(fronts.values())) + retrained["front"])
    return {**volumes, "reference": {"test": float(reference[0]), "macs": total}}


def _unchanged(result: search.Result) -> dict[str, int]:
    """Steps that a search recognised as changing nothing that is used, where it counts them."""
    last = result.history[-1]
    return {"unchanged": last["unchanged"]} if "unchanged" in last else {}


def _save(folder: RunFolder, outcome: Outcome, best: Entry) -> None:
    network = outcome.space.decode(outcome.space.params, np.asarray(best["genome"], np.int32))
    checkpoint.write(folder.path / "best", jax.tree.map(np.asarray, network.params), best)


def _draw(settings: Settings, dataset: Dataset, folder: RunFolder, outcome: Outcome, result: dict[str, Any]) -> None:
    sets = {"random search": result["fronts"]["random search"], "evolved front": result["front"]}
    if result["retrained"] is not None:
        sets["front, retrained"] = result["retrained"]["front"]
    sets |= {"ensembles": result["ensembles"], "parents": result["parents"]}
    quality, _ = objectives(settings, dataset)
    figures.draw_fronts(folder.path / "front.png", f"test {quality.name} ({dataset.name})", sets)
    figures.draw_networks(folder.path / "networks.png", outcome.merged, result["best"])


def _print(result: dict[str, Any], folder: RunFolder) -> None:
    sets = [("parent", result["parents"]), ("ensemble", result["ensembles"]), ("front", result["front"])]
    again = {} if result["retrained"] is None else {
        str(entry["genome"]): entry for entry in [*result["retrained"]["parents"], *result["retrained"]["front"]]
    }  # fmt: skip
    rows = []
    for kind, found in sets:
        for entry in found:
            row = [f"{kind}: {entry['name']}", f"{entry['valid']:.1%}", f"{entry['test']:.1%}"]
            if again:
                later = again.get(str(entry["genome"]))
                row.append("" if later is None else f"{later['test']:.1%}")
            row += [f"{entry['macs'] / 1e6:.2f}", f"{entry['parameters'] / 1e3:.0f}", f"{entry['latency_ms']:.2f}"]
            rows.append([*row, ", ".join(entry.get("dominates", ()))])
    columns = ["network", "valid", "test", *(["retrained"] if again else []), "macs (M)", "parameters (k)"]
    table(
        f"{result['data']}, seed {result['seed']}",
        [*columns, f"ms per {result['latency_batch']}", "dominates"],
        rows,
    )
    volumes = {name: volume for name, volume in result["hypervolume"].items() if name != "reference"}
    table("hypervolume on test", ("set", "hypervolume"), [(name, f"{v:.4f}") for name, v in volumes.items()])
    rows = [
        (
            name,
            *(found.get(count, "") for count in ("evaluations", "distinct_evaluations", "segment_runs", "unchanged")),
        )
        for name, found in result["searches"].items()
    ]
    table("searches", ("search", "evaluations", "distinct networks", "segments run", "steps that change nothing"), rows)
    mixed = result["best_of_all_parents"]
    if mixed is not None:
        weaker = min(entry["test"] for entry in result["parents"])
        print(
            f"best offspring with layers of every parent and no vote: {mixed['name']}, {mixed['test']:.1%} on test, "
            f"{mixed['test'] / weaker:.2f} of the weaker parent"
        )
    if result["settings"]["export"]:
        worst = max(entry["onnx_difference"] for entry in result["front"])
        print(
            f"{len(result['front'])} networks are in {folder.path / 'onnx'}; onnxruntime differs by {worst:.1e} at most"
        )
    print(f"seconds: {result['seconds']}")
    print(f"results are in {folder.path}")
