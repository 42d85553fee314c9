"""The end of a run: the best generator of each method on test, tables, `result.json`, pictures, checkpoint and ONNX."""

import dataclasses
from typing import Any

import jax
import numpy as np

from experiments.exporting import exported
from experiments.folder import RunFolder
from experiments.pbt_gan.figures import draw_samples
from experiments.pbt_gan.pipeline import Outcome
from experiments.pbt_gan.presets import Settings
from experiments.pbt_gan.starting import keys_of
from experiments.populations import chosen, draw_population, place_of
from experiments.report import table, versions, write_json
from jaxevo import checkpoint, pbt
from jaxevo.data import Dataset

#: Pictures that are drawn of each method.
_SHOWN = 30


def report(settings: Settings, dataset: Dataset, seed: int, folder: RunFolder, outcome: Outcome) -> dict[str, Any]:
    """Writes and prints what a run found.

    Args:
      settings, seed: of the run.
      dataset: its pictures, of which some are drawn.
      folder: where everything is written.
      outcome: what the run found.

    Returns:
      What `result.json` holds.
    """
    path = folder.path
    with folder.phase("report"):
        shape = outcome.architecture.inputs.shape
        latents = np.asarray(jax.random.normal(keys_of(seed)["pictures"], (_SHOWN, *shape)))
        space, first, methods, trees = pbt.layers(outcome.architecture), settings.methods[0], {}, {}
        difference = None
        for name, found in outcome.found.items():
            trees[name] = pbt.lineage(found.history)
            methods[name] = _entry(settings, outcome, name, trees[name])
            # Where every member has diverged there is none that is best.
            if found.best is None:
                continue
            network = space.network(found.best)
            draw_samples(path / f"{place_of(name)}.png", np.asarray(network(latents)))
            if name == first:
                checkpoint.write(path / "best", found.best)
                difference = exported(network, latents, path / "best.onnx", (_SHOWN,))
        draw_samples(path / "data.png", dataset.test.inputs[:_SHOWN])
        best = {name: entry["valid"] for name, entry in methods.items()}
        draw_population(path, best, trees[first], "Fréchet distance on valid, best member", sign=-1)
        result = {
            "experiment": "pbt_gan",
            "seed": seed,
            "data": dataset.name,
            "settings": dataclasses.asdict(settings),
            "distance": outcome.measure,
            "methods": methods,
            "onnx_difference": difference,
        }
    result |= {"seconds": folder.seconds, "versions": versions()}
    write_json(path / "result.json", result)
    _print(result, folder)
    return result


def _entry(settings: Settings, outcome: Outcome, name: str, members: tuple[pbt.Descent, ...]) -> dict[str, Any]:
    history = outcome.found[name].history
    valid = [_best(entry["scores"]) for entry in history]
    tests = outcome.tests[name]
    best = outcome.found[name].best
    units = [layer.name for layer in outcome.architecture.layers if len(layer.genes)]
    return {
        "valid": valid,
        "test": tests,
        "last": {
            "valid": float(np.mean(valid[-settings.last :])),
            "test": float(np.mean(tests[-settings.last :])),
        },
        "members": len(members),
        "diverged": sum(member.diverged for member in members),
        "architectures": len({tuple(row) for row in np.asarray(outcome.found[name].population.genomes.genome)}),
        "programs": outcome.programs[name],
        "best": {} if best is None else chosen(outcome.architecture, best.genome),
        "origins": {} if best is None else pbt.origins(members, _number(history[-1]), units),
    }  # fmt: skip


def _number(entry: dict[str, Any]) -> int:
    """Returns the number of the member that is best in a generation."""
    scores = [-np.inf if score is None else score for score in entry["scores"]]
    return int(entry["numbers"][int(np.argmax(scores))])


def _best(scores: list[float | None]) -> float:
    known = [-score for score in scores if score is not None]
    return min(known) if known else float("nan")


def _print(result: dict[str, Any], folder: RunFolder) -> None:
    rows = [
        (
            name,
            f"{entry['valid'][-1]:.2f}",
            f"{entry['test'][-1]:.2f}",
            f"{entry['last']['valid']:.2f}",
            f"{entry['last']['test']:.2f}",
            entry["members"],
            entry["diverged"],
            f"{entry['programs']['programs']} ({entry['programs']['compile_seconds']:.0f} s)",
        )
        for name, entry in result["methods"].items()
    ]
    last = result["settings"]["last"]
    columns = (
        "method",
        "last step, valid",
        "test",
        f"mean of {last}, valid",
        "test",
        "members",
        "diverged",
        "programs",
    )
    table(f"{result['data']}, seed {result['seed']}: {result['distance']}", columns, rows)
    print(f"seconds: {result['seconds']}")
    print(f"results are in {folder.path}")
