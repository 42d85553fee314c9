"""How a run is recognised, saved and taken up again."""

import hashlib
import importlib.metadata
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxevo import checkpoint as checkpoints
from jaxevo.search.strategy import Strategy


class Progressed(NamedTuple):
    """How far a run is.

    search: the state of the strategy.
    history: one dictionary per generation.
    """

    search: Any
    history: list[dict[str, Any]]


def identify(key: jax.Array, strategy: Strategy, evaluate: Callable, settings: dict | None, search: Any) -> dict:
    """Returns what makes a run this run, as JSON gives it back.

    Args:
      key, strategy, evaluate, settings: as in `run`.
      search: a state of the strategy.

    Raises:
      TypeError: where the settings are not what JSON can hold.
    """
    genomes = jax.tree_util.tree_flatten_with_path(search.genomes)[0]
    identity = {
        "jaxevo": importlib.metadata.version("jaxevo"),
        "strategy": strategy.name,
        "strategy settings": dict(strategy.settings),
        "space": strategy.space.name,
        "space settings": dict(strategy.space.settings),
        "population": strategy.population,
        "genome": {jax.tree_util.keystr(path): f"{leaf.dtype}{list(leaf.shape[1:])}" for path, leaf in genomes},
        "objectives": list(getattr(evaluate, "objectives", ())),
        "key": np.asarray(jax.random.key_data(key)).tolist(),
        "parameters": checkpoints.digest(strategy.space.params),
        "evaluation": getattr(evaluate, "identity", None),
        "settings": settings,
    }
    try:
        return json.loads(json.dumps(identity))
    except TypeError as error:
        raise TypeError(f"run: settings is {settings!r}, expected what JSON can hold ({error})") from None


def program_digest(function: Callable, *arguments: Any) -> str:
    """Returns a digest of what a function computes, by which a checkpoint knows settings that are functions.

    Args:
      function: a traceable function.
      *arguments: pytrees of arrays or `ShapeDtypeStruct`s.

    Returns:
      Sixteen hexadecimal digits. Equal for equal traces: with another release of jax they may differ.
    """
    traced = jax.make_jaxpr(function)(*arguments)
    # Functions within are printed with where they lie in memory.
    text = re.sub(r"0x[0-9a-f]+", "", str(traced))
    return hashlib.sha256(f"{text} {checkpoints.digest(list(traced.consts))}".encode()).hexdigest()[:16]


def resume(folder: checkpoints.Folder, identity: dict, evaluate: Callable, started: Progressed) -> Progressed:
    """Takes a run up from its folder.

    Args:
      folder: of checkpoints.
      identity: of the run that wants to continue.
      evaluate: as in `run`; gets its memory back.
      started: the run at its start.

    Returns:
      How far the run in the folder is; the start where there is none.

    Raises:
      ValueError: where the folder holds another run.
    """
    restored = folder.restore()
    if restored is None:
        return started
    if differing := _differences(restored.metadata.get("identity", {}), identity):
        raise ValueError(
            f"run: checkpoint {str(folder.path)!r} is of another run: {'; '.join(differing)}; name another folder"
        )
    target = {"search": started.search, "memory": getattr(evaluate, "memory", None)}
    tree = checkpoints.rebuild(restored.tree, target)
    if hasattr(evaluate, "memory"):
        evaluate.restore(tree["memory"])
    return Progressed(tree["search"], restored.metadata["history"])


def saver(folder: checkpoints.Folder, identity: dict, evaluate: Callable) -> Callable[[Any, list[dict]], None]:
    """Returns the function that saves a state of the strategy, the memory of the evaluation, and the history."""

    def save(search: Any, history: list[dict]) -> None:
        tree = {"search": search, "memory": getattr(evaluate, "memory", None)}
        folder.save(len(history), tree, {"identity": identity, "history": history})

    return save


def _differences(there: Any, here: Any, name: str = "") -> list[str]:
    """Says what differs between two identities; of dictionaries, whose digests are long, the entries that do."""
    if isinstance(there, dict) and isinstance(here, dict):
        return [
            line
            for part in dict.fromkeys([*here, *there])
            for line in _differences(there.get(part, "absent"), here.get(part, "absent"), f"{name} {part}".strip())
        ]
    return [] if there == here else [f"{name} is {there!r} there and {here!r} here"]
