"""The end of a run: networks and ensembles on test, the tables, `result.json` and pictures."""

import dataclasses
from typing import Any

import numpy as np
from scipy.special import softmax

from experiments.folder import RunFolder
from experiments.report import table, versions, write_json
from experiments.subspace import figures
from experiments.subspace.generation import Generation
from experiments.subspace.pipeline import Outcome
from experiments.subspace.presets import Settings
from experiments.subspace.spaces import said, take
from experiments.subspace.window import summary
from experiments.tempering import temperature
from jaxevo import ensemble
from jaxevo.data import Dataset
from jaxevo.network import Network

SPLITS = ("valid", "test")

#: What one generation gives, and what tables call it.
NAMES = {
    "best": "best child",
    "recombined": "recombined child",
    "greedy": "greedy ensemble",
    "vote": "vote of the best",
}


def report(settings: Settings, dataset: Dataset, seed: int, folder: RunFolder, outcome: Outcome) -> dict[str, Any]:
    """Writes and prints what a run found.

    Everything was chosen on valid before; test is scored here, once, and nothing is chosen on it.

    Args:
      settings, seed: of the run.
      dataset: its test split is used here only.
      folder: where everything is written.
      outcome: what the run found.

    Returns:
      What `result.json` holds.
    """
    with folder.phase("report"):
        generations = {
            kind: {
                "subspaces": settings.generation.subspaces if kind == "sparse" else 1,
                "sigma": found.sigma,
                "strength": found.strength,
                "grid": [_grid(row) for row in found.grid],
                "members": sorted(set(found.greedy)),
                **_entries(found, dataset),
            }
            for kind, found in outcome.generations.items()
        }
        evolution = {
            kind: {
                "sigma": found.sigma,
                "nll": found.nll,
                "parent_nll": found.parent_nll,
                "best": _entry(_alone(found.best, dataset), dataset),
            }
            for kind, found in outcome.evolved.items()
        }
        result = {
            "experiment": "subspace",
            "seed": seed,
            "data": dataset.name,
            "settings": dataclasses.asdict(settings),
            "parent": {"name": outcome.parent.name, **_entry(_alone(outcome.parent, dataset), dataset)},
            "tempered": _tempered(outcome.parent, dataset),
            "window": summary(settings.window, outcome.curves),
            "generation": generations,
            "evolution": evolution,
        }
    result |= {"seconds": folder.seconds, "versions": versions()}
    figures.draw_window(folder.path / "window.png", result["window"])
    figures.draw_generation(folder.path / "generation.png", generations, result["parent"]["valid"]["nll"])
    figures.draw_evolution(folder.path / "evolution.png", evolution)
    write_json(folder.path / "result.json", result)
    _print(result, folder)
    return result


def _alone(network: Network, dataset: Dataset) -> dict[str, np.ndarray]:
    """Returns what one network says on valid and test, [1, N, C]."""
    return {which: ensemble.predict([network], getattr(dataset, which)) for which in SPLITS}


def _entry(probabilities: dict[str, np.ndarray], dataset: Dataset) -> dict[str, dict[str, float]]:
    """Scores the vote of members by what they say on valid and test; several members by their diversity as well."""
    entry = {}
    for which, spoken in probabilities.items():
        found = ensemble.report(spoken, getattr(dataset, which).labels)
        entry[which] = {**found["vote"], **found.get("diversity", {})}
    return entry


def _tempered(parent: Network, dataset: Dataset) -> dict[str, Any]:
    """Scores the parent at its best temperature on valid: what of an NLL is won without other answers."""
    logarithms = {
        which: np.log(np.maximum(one, np.finfo(np.float32).tiny)) for which, one in _alone(parent, dataset).items()
    }
    found = temperature(logarithms["valid"][0], dataset.valid.labels)
    entry = _entry({which: softmax(one / found, axis=-1) for which, one in logarithms.items()}, dataset)
    return {"temperature": found, **entry}


def _entries(found: Generation, dataset: Dataset) -> dict[str, Any]:
    """Scores what one generation gives: its best child, the recombined one, and the two ensembles."""
    needed = sorted({*found.best, *found.greedy})
    where = {index: row for row, index in enumerate(needed)}
    spoken = {which: said(found.space, take(found.genomes, needed), getattr(dataset, which)) for which in SPLITS}

    def vote(indices):
        rows = [where[index] for index in indices]
        return _entry({which: one[rows] for which, one in spoken.items()}, dataset)

    recombined = found.space.decode(found.space.params, found.recombined)
    return {
        "best": vote(found.best[:1]),
        "recombined": _entry(_alone(recombined, dataset), dataset),
        "greedy": vote(found.greedy),
        "vote": vote(found.best),
    }


def _grid(row: dict[str, Any]) -> dict[str, float]:
    """Returns what children of one sigma reach on valid, in short."""
    known = [nll for nll in row["nll"] if nll is not None]
    return {
        "sigma": row["sigma"],
        "best_nll": min(known),
        "median_nll": float(np.median(known)),
        "greedy_nll": row["greedy_nll"],
    }


def _print(result: dict[str, Any], folder: RunFolder) -> None:
    window = result["window"]
    rows = []
    for curve in window["curves"]:
        name, sigma = str(curve["subspaces"]), curve["critical_sigma"]
        ratios = (window[kind].get(name) for kind in ("ratios", "norm_ratios"))
        shown = ["outside of the grid", ""] if sigma is None else [f"{sigma:.4f}", f"{curve['critical_norm']:.3f}"]
        rows.append(["dense" if name == "1" else name, *shown, *("" if r is None else f"{r:.2f}" for r in ratios)])
    table(
        f"where {window['allowed_loss']:.0%} of accuracy is lost, {result['data']}, seed {result['seed']}",
        ("subspaces", "sigma", "norm of the mutation", "sigma over dense", "norm over dense"),
        rows,
    )
    rows = [_row(f"parent: {result['parent']['name']}", "", result["parent"])]
    rows.append(_row(f"parent at temperature {result['tempered']['temperature']:.2f}", "", result["tempered"]))
    for kind, found in result["generation"].items():
        rows += [_row(f"{kind}: {NAMES[name]}", f"{found['sigma']:g}", found[name]) for name in NAMES]
    rows += [
        _row(f"{kind}: {len(found['nll'])} generations", f"{found['sigma']:g}", found["best"])
        for kind, found in result["evolution"].items()
    ]
    columns = ("network", "sigma", "valid", "NLL", "test", "NLL", "ECE", "Brier", "disagreement")
    table(f"on valid and test, {result['settings']['generation']['children']} children of each kind", columns, rows)
    print(f"seconds: {result['seconds']}")
    print(f"results are in {folder.path}")


def _row(name: str, sigma: str, entry: dict[str, dict[str, float]]) -> list[str]:
    valid, test = entry["valid"], entry["test"]
    shown = [f"{test[metric]:.4f}" for metric in ("nll", "ece", "brier")]
    differing = f"{test['disagreement']:.3f}" if "disagreement" in test else ""
    return [
        name,
        sigma,
        f"{valid['accuracy']:.1%}",
        f"{valid['nll']:.4f}",
        f"{test['accuracy']:.1%}",
        *shown,
        differing,
    ]
