"""What a run ended with, written down so that two runs can be compared bit for bit."""

import json
import pathlib
from typing import Any

import jax
import numpy as np

#: What no two runs have in common.
MEASURED = ("latency_ms", "seconds")


def write(path: pathlib.Path, tree: Any, said: Any) -> None:
    """Writes `end.npz`, every array of a tree by its path, and `end.json`, everything else."""
    np.savez(path / "end.npz", **arrays(tree))
    (path / "end.json").write_text(json.dumps(said))


def arrays(tree: Any) -> dict[str, np.ndarray]:
    """Returns every array of a tree by its path; keys as the numbers that they are made of."""
    return {jax.tree_util.keystr(path): _plain(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _plain(leaf: Any) -> np.ndarray:
    key = isinstance(leaf, jax.Array) and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if key else leaf)


def differences(a: pathlib.Path, b: pathlib.Path) -> list[str]:
    """Names everything that two finished runs do not have in common, bit for bit; times do not count."""
    found = []
    with np.load(a / "end.npz") as first, np.load(b / "end.npz") as second:
        if first.files != second.files:
            return ["names of arrays"]
        for name in first.files:
            x, y = first[name], second[name]
            if (x.dtype, x.shape, x.tobytes()) != (y.dtype, y.shape, y.tobytes()):
                found.append(name)
    for name in ("end.json", "result.json", "settings.json"):
        x, y = (_read(path / name) for path in (a, b))
        # As text, in which NaN equals NaN.
        found += [f"{name}: {key}" for key in {*x, *y} if json.dumps(x.get(key)) != json.dumps(y.get(key))]
    return found


def _read(file: pathlib.Path) -> dict[str, Any]:
    return unmeasured(json.loads(file.read_text())) if file.exists() else {}


def unmeasured(content: Any) -> Any:
    """Returns what JSON held without the figures that are measured."""
    if isinstance(content, dict):
        return {key: unmeasured(value) for key, value in content.items() if key not in MEASURED}
    return [unmeasured(value) for value in content] if isinstance(content, list) else content
