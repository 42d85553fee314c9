"""The end of a run: gains and their intervals, similarity against gain, the tables, `result.json` and pictures."""

import dataclasses
from typing import Any

import numpy as np

from experiments.folder import RunFolder
from experiments.report import table, versions, write_json
from experiments.transfer import figures
from experiments.transfer.gains import gain, geometric_mean
from experiments.transfer.learning import Curve
from experiments.transfer.methods import BASELINES, OURS
from experiments.transfer.pipeline import Outcome
from experiments.transfer.presets import Settings
from experiments.transfer_similarity.statistics import bootstrap, spearman
from jaxevo import transfer
from jaxevo.data import Dataset

SPLITS = ("valid", "test")


def report(settings: Settings, dataset: Dataset, seed: int, folder: RunFolder, outcome: Outcome) -> dict[str, Any]:
    """Writes and prints what a run found.

    Args:
      settings, seed: of the run.
      dataset: of the run.
      folder: where everything is written.
      outcome: what the run found.

    Returns:
      What `result.json` holds.
    """
    horizons = sorted({1, settings.epochs})
    sizes = {which: len(getattr(dataset, which)) for which in SPLITS}
    pairs = [_pair(pair, outcome, horizons, sizes) for pair in settings.pairs]
    result = {
        "experiment": "transfer",
        "seed": seed,
        "data": dataset.name,
        "settings": dataclasses.asdict(settings),
        "teachers": outcome.teachers,
        "students": {name: _student(name, outcome) for name in outcome.beginnings},
        "pairs": pairs,
        "means": _means(settings, outcome, horizons, sizes),
        "spearman": _spearman(pairs, horizons),
    }
    folder.path.joinpath("alignments").mkdir(exist_ok=True)
    for (teacher, student), alignment in outcome.alignments.items():
        picture = folder.path / "alignments" / f"{teacher}-{student}.png"
        transfer.draw(alignment).figure.savefig(picture)
    figures.draw_curves(folder.path / "curves.png", settings.pairs, outcome)
    figures.draw_gains(folder.path / "gains.png", pairs, horizons)
    result |= {"seconds": folder.seconds, "versions": versions()}
    write_json(folder.path / "result.json", result)
    _print(result, horizons, folder)
    return result


def accuracies(curves: list[Curve], which: str) -> np.ndarray:
    """Returns the accuracies of curves on a split, [R, E]."""
    return np.array([getattr(curve, which) for curve in curves])


def _student(name: str, outcome: Outcome) -> dict[str, Any]:
    valid = accuracies(outcome.beginnings[name], "valid").mean(axis=0).tolist()
    return {"optimizer": outcome.chosen[name]["optimizer"], "rate": outcome.chosen[name]["rate"], "valid": valid}


def _pair(pair: tuple[str, str], outcome: Outcome, horizons: list[int], sizes: dict[str, int]) -> dict[str, Any]:
    alignment, begun = outcome.alignments[pair], outcome.beginnings[pair[1]]
    gains = {
        method: {
            which: {
                str(epochs): gain(accuracies(curves, which), accuracies(begun, which), epochs, sizes[which])._asdict()
                for epochs in horizons
            }
            for which in SPLITS
        }
        for method, curves in outcome.curves[pair].items()
    }
    return {
        "teacher": pair[0],
        "student": pair[1],
        "similarity": alignment.similarity,
        "coverage": alignment.coverage,
        "warnings": list(transfer.report(alignment).warnings),
        "gains": gains,
        "curves": {m: accuracies(curves, "valid").tolist() for m, curves in outcome.curves[pair].items()},
    }


def _means(settings: Settings, outcome: Outcome, horizons: list[int], sizes: dict[str, int]) -> dict[str, Any]:
    """Returns geometric means of gains: jaxevo's over all pairs, and every method's over the pairs with baselines."""

    def mean(method, pairs):
        return {
            which: {
                str(epochs): geometric_mean(
                    [
                        (accuracies(outcome.curves[p][method], which), accuracies(outcome.beginnings[p[1]], which))
                        for p in pairs
                    ],
                    epochs,
                    sizes[which],
                )._asdict()
                for epochs in horizons
            }
            for which in SPLITS
        }

    compared = {method: mean(method, settings.compared) for method in (OURS, *BASELINES)} if settings.compared else {}
    return {"all": mean(OURS, settings.pairs), "compared": compared}


def _spearman(pairs: list[dict[str, Any]], horizons: list[int]) -> dict[str, Any]:
    """Returns the rank correlation of similarity and coverage with the gain on valid."""
    return {
        measure: {
            str(epochs): bootstrap(
                spearman,
                np.array([pair[measure] for pair in pairs]),
                np.array([pair["gains"][OURS]["valid"][str(epochs)]["value"] for pair in pairs]),
            )._asdict()
            for epochs in horizons
        }
        for measure in ("similarity", "coverage")
    }


def _print(result: dict[str, Any], horizons: list[int], folder: RunFolder) -> None:
    rows = [
        (name, f"{one['optimizer']} {one['rate']:g}", *(f"{accuracy:.1%}" for accuracy in one["valid"]))
        for name, one in result["students"].items()
    ]
    epochs = range(1, result["settings"]["epochs"] + 1)
    table("random beginnings on valid, by epoch", ("student", "optimiser", *map(str, epochs)), rows)
    asked = [(which, str(horizon)) for which in SPLITS for horizon in horizons]
    columns = [f"{which}, {horizon} epoch{'s' if horizon != '1' else ''}" for which, horizon in asked]
    rows = [
        (
            f"{pair['teacher']} -> {pair['student']}",
            f"{pair['similarity']:.2f}",
            f"{pair['coverage']:.2f}",
            *(_shown(pair["gains"][OURS][which][horizon]) for which, horizon in asked),
        )
        for pair in result["pairs"]
    ]
    mean = result["means"]["all"]
    rows.append(("geometric mean", "", "", *(_shown(mean[which][horizon]) for which, horizon in asked)))
    table(f"gains of {OURS}, {result['data']}", ("pair", "similarity", "coverage", *columns), rows)
    rows = [
        (method, *(_shown(found[which][horizon]) for which, horizon in asked))
        for method, found in result["means"]["compared"].items()
    ]
    if rows:
        count = len(result["settings"]["compared"])
        table(f"geometric means over the {count} pairs with every method", ("method", *columns), rows)
    rows = [
        (measure, *(_shown(found[str(horizon)]) for horizon in horizons))
        for measure, found in result["spearman"].items()
    ]
    table("Spearman with the gain on valid", ("measure", *(f"{horizon} epochs" for horizon in horizons)), rows)
    print(f"seconds: {result['seconds']}")
    print(f"results are in {folder.path}")


def _shown(one: dict[str, float]) -> str:
    return f"{one['value']:.2f} ({one['low']:.2f} to {one['high']:.2f})"
