"""Fronts re-scored on the test split, the table, `result.json` and the best offspring."""

import dataclasses
from typing import Any

import jax
import numpy as np

from experiments.folder import RunFolder
from experiments.report import table, versions, write_json
from experiments.stitching import figures
from experiments.stitching.pipeline import OBJECTIVES, Outcome
from experiments.stitching.presets import Settings
from experiments.timing import latency_ms
from jaxevo import checkpoint, evaluation, search, stitching
from jaxevo.data import Dataset

#: Pictures at a time when latency is measured.
LATENCY_BATCH = 64


def report(settings: Settings, dataset: Dataset, seed: int, folder: RunFolder, outcome: Outcome) -> dict[str, Any]:
    """Writes and prints what a run found.

    Fronts are chosen on valid by the search and scored on test here, once; nothing is chosen on test.

    Args:
      settings, seed: of the run.
      dataset: its test split is used here only.
      folder: where everything is written.
      outcome: what the run found.

    Returns:
      What `result.json` holds.
    """
    with folder.phase("report"):
        corners = stitching.unstitched(outcome.merged)
        known = _entries(outcome, dataset, corners)
        parents, ensembles = known[:2], known[2:]
        front = _entries(outcome, dataset, _distinct(outcome.evolved.front))
        random = _entries(outcome, dataset, _distinct(outcome.random.front), latency=False)
        best = _best(front, outcome)
        if best is not None:
            _save(folder, outcome, best)
        figures.draw_front(folder.path / "front.png", dataset.name, parents, ensembles, random, front)
        figures.draw_networks(folder.path / "networks.png", outcome.merged, best)
    result = {
        "experiment": "stitching",
        "seed": seed,
        "data": dataset.name,
        "settings": dataclasses.asdict(settings),
        "latency_batch": LATENCY_BATCH,
        "stitches": [fit._asdict() for fit in outcome.fits],
        "parents": parents,
        "ensembles": ensembles,
        "front": front,
        "random_front": random,
        "best": best,
        "hypervolume": _hypervolumes(parents, ensembles, random, front),
        "evaluations": outcome.counts["evaluations"],
        "distinct_evaluations": outcome.counts["distinct_evaluations"],
        "segment_runs": outcome.counts["segment_runs"],
        "seconds": folder.seconds,
        "versions": versions(),
    }
    write_json(folder.path / "result.json", result)
    _print(result, folder)
    return result


def _entries(outcome: Outcome, dataset: Dataset, genomes: np.ndarray, latency: bool = True) -> list[dict[str, Any]]:
    scores = []
    for split in (dataset.valid, dataset.test):
        evaluate = evaluation.shared(outcome.space, split, OBJECTIVES)
        scores.append(evaluate(None, outcome.space.params, genomes)[1][:, 0])
    entries = []
    for genome, valid, test in zip(genomes, *scores, strict=True):
        cost = outcome.space.cost(genome)
        network = outcome.space.decode(outcome.space.params, genome)
        entry = {
            "name": network.name,
            "genome": genome.tolist(),
            "stitches": sum(node.group == "stitch" for node in _nodes(outcome, genome)),
            "valid_accuracy": round(float(valid), 6),
            "test_accuracy": round(float(test), 6),
            "macs": int(cost.multiply_adds),
            "parameters": int(cost.parameters),
        }
        if latency:
            entry["latency_ms"] = round(latency_ms(network, dataset.test.inputs[:LATENCY_BATCH]), 3)
        entries.append(entry)
    return entries


def _nodes(outcome: Outcome, genome: np.ndarray):
    graph = outcome.merged.graph
    return [graph.nodes[i] for i in graph.path(genome)]


def _distinct(front: search.Scored) -> np.ndarray:
    """One genome for each point of a front, cheapest first."""
    _, first = np.unique(front.fitness, axis=0, return_index=True)
    order = first[np.argsort(-front.fitness[first, 1], kind="stable")]
    return np.asarray(front.genomes)[order]


def _best(front: list[dict[str, Any]], outcome: Outcome) -> dict[str, Any] | None:
    """The member that uses a stitch and layers of both parents without which the front on valid would lose most."""
    names = [parent.name for parent in outcome.parents]
    points = np.array([[entry["valid_accuracy"], -entry["macs"]] for entry in front])
    reference = points.min(axis=0) - 1e-3 * np.ptp(points, axis=0)
    best, most = None, -np.inf
    for index, entry in enumerate(front):
        if entry["stitches"] and all(f"{name}[" in entry["name"] for name in names):
            alone = -search.hypervolume(np.delete(points, index, axis=0), reference)
            if alone > most:
                best, most = entry, alone
    return best


def _hypervolumes(parents, ensembles, random, front) -> dict[str, Any]:
    """Hypervolumes on test, multiply-adds as a share of those of both parents together.

    The reference point is an accuracy ten points below the weaker parent, at the multiply-adds of both parents.
    """
    both = sum(entry["macs"] for entry in parents)
    reference = np.array([min(entry["test_accuracy"] for entry in parents) - 0.1, -1.0])

    def volume(entries):
        points = np.array([[entry["test_accuracy"], -entry["macs"] / both] for entry in entries])
        return search.hypervolume(points, reference)

    return {
        "parents": volume(parents + ensembles),
        "random": volume(random),
        "evolved": volume(front),
        "reference": {"test_accuracy": float(reference[0]), "macs": both},
    }


def _save(folder: RunFolder, outcome: Outcome, best: dict[str, Any]) -> None:
    network = outcome.space.decode(outcome.space.params, np.asarray(best["genome"], np.int32))
    checkpoint.write(folder.path / "best", jax.tree.map(np.asarray, network.params), best)


def _print(result: dict[str, Any], folder: RunFolder) -> None:
    sets = [("parent", result["parents"]), ("ensemble", result["ensembles"]), ("front", result["front"])]
    rows = [
        (
            f"{kind}: {entry['name']}",
            f"{entry['valid_accuracy']:.1%}",
            f"{entry['test_accuracy']:.1%}",
            f"{entry['macs'] / 1e6:.2f}",
            f"{entry['parameters'] / 1e3:.0f}",
            f"{entry['latency_ms']:.2f}",
        )
        for kind, entries in sets
        for entry in entries
    ]
    columns = ("network", "valid", "test", "macs (M)", "parameters (k)", f"ms per {result['latency_batch']}")
    table(f"{result['data']}, seed {result['seed']}", columns, rows)
    volumes = result["hypervolume"]
    rows = [(name, f"{volumes[name]:.4f}") for name in ("parents", "random", "evolved")]
    table("hypervolume on test", ("set", "hypervolume"), rows)
    print(
        f"{result['evaluations']} evaluations, {result['distinct_evaluations']} distinct networks, "
        f"{result['segment_runs']} segments run; seconds: {result['seconds']}"
    )
    print(f"results are in {folder.path}")
