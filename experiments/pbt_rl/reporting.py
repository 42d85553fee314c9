"""The end of a run: the best agents tested, tables, `result.json`, pictures, an episode, checkpoint and ONNX."""

import dataclasses
import pathlib
from typing import Any

import jax
import numpy as np

from experiments.exporting import exported
from experiments.folder import RunFolder
from experiments.pbt_rl.drqv2 import pixels
from experiments.pbt_rl.environments import Environment
from experiments.pbt_rl.figures import draw_episode
from experiments.pbt_rl.pipeline import Outcome
from experiments.pbt_rl.practice import Practice
from experiments.pbt_rl.presets import Settings
from experiments.pbt_rl.starting import keys_of
from experiments.populations import chosen, draw_population
from experiments.report import table, versions, write_json
from jaxevo import checkpoint, pbt
from jaxevo.network import Member


def report(
    settings: Settings, environment: Environment, seed: int, folder: RunFolder, outcome: Outcome
) -> dict[str, Any]:  # fmt: skip
    """Writes and prints what a run found.

    Args:
      settings, seed: of the run.
      environment: what agents act in.
      folder: where everything is written.
      outcome: what the run found.

    Returns:
      What `result.json` holds.
    """
    path, first = folder.path, settings.methods[0]
    with folder.phase("report"):
        trees = {name: pbt.lineage(found.history) for name, found in outcome.found.items()}
        methods = {name: _entry(settings, seed, outcome, name, trees[name]) for name in settings.methods}
        curves = {name: entry["best"] for name, entry in methods.items()}
        draw_population(path, curves, trees[first], "return of the best member", sign=1)
        best = outcome.found[first].best
        result = {
            "experiment": "pbt_rl",
            "seed": seed,
            "data": environment.name,
            "settings": dataclasses.asdict(settings),
            "methods": methods,
            "onnx_difference": None if best is None else leave(path, outcome.practice, best, seed),
        }
    result |= {"seconds": folder.seconds, "versions": versions()}
    write_json(path / "result.json", result)
    _print(result, folder)
    return result


def leave(path: pathlib.Path, practice: Practice, member: Member, seed: int) -> float | None:
    """Leaves an agent behind: as checkpoint and ONNX, and an episode of it.

    Args:
      path: folder.
      practice: what it acts in.
      member: the agent.
      seed: of the run.

    Returns:
      How far onnxruntime's actions are off; None where its packages are missing, and no ONNX is written.
    """
    checkpoint.write(path / "best", member)
    small, channels = practice.compacted(member), practice.environment.frame[-1]
    seen = [where.observations for where, _ in practice.episodes(keys_of(seed)["test"], small)]
    draw_episode(path / "episode.gif", [np.asarray(observations[0, ..., -channels:]) for observations in seen])
    network = practice.space.network(jax.device_get(member))
    return exported(network, np.asarray(pixels(seen[0])), path / "best.onnx", (len(seen[0]),))


def _entry(settings: Settings, seed: int, outcome: Outcome, name: str, members: tuple[pbt.Descent, ...]) -> Any:
    found, practice = outcome.found[name], outcome.practice
    scores = [[score for score in entry["scores"] if score is not None] for entry in found.history]
    entry = {
        "best": [max(known, default=float("nan")) for known in scores],
        "mean": [float(np.mean(known)) if known else float("nan") for known in scores],
        "steps": found.history[-1]["steps"],
        "updates": found.history[-1]["updates"],
        "members": len(members),
        "diverged": sum(member.diverged for member in members),
        "test": None,
        "chosen": {},
    }
    if found.best is not None:
        entry["chosen"] = chosen(practice.architecture, found.best.genome)
        entry["test"] = tested(practice, found.best, settings.tests, seed)
    return entry


def tested(practice: Practice, member: Member, episodes: int, seed: int) -> float:
    """Returns the mean return of an agent on at least so many episodes that nothing was chosen by."""
    rounds = -(-episodes // practice.course.episodes)
    keys = [jax.random.fold_in(keys_of(seed)["test"], index) for index in range(rounds)]
    return float(np.mean([practice.score(key, practice.compacted(member)) for key in keys]))


def _print(result: dict[str, Any], folder: RunFolder) -> None:
    rows = [
        (
            name, f"{entry['best'][-1]:.1f}", f"{entry['mean'][-1]:.1f}",
            "" if entry["test"] is None else f"{entry['test']:.1f}", entry["members"], entry["diverged"],
            entry["steps"], entry["updates"], f"{result['seconds'][name]:.0f}",
        )
        for name, entry in result["methods"].items()
    ]  # fmt: skip
    columns = ("method", "best", "mean", "best, tested", "members", "diverged", "steps", "updates", "seconds")
    table(f"returns on {result['data']}, seed {result['seed']}", columns, rows)
    print(f"results are in {folder.path}")
