"""How strong mutations a network stands: accuracy against sigma, the critical mutation window (arXiv 2302.05832).

S is the number of sigmas, n that of children.
"""

import json
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.report import write_json
from experiments.subspace.presets import Settings, Window
from experiments.subspace.spaces import Mutable
from jaxevo import evaluation, stopping, subspace
from jaxevo.data import Split
from jaxevo.space import Space

#: The loss of accuracy that marks the end of the window.
ALLOWED = 0.01


class Curve(NamedTuple):
    """What the children of one partition reach.

    subspaces: its number of parts.
    parent: accuracy of the parent on the same examples.
    accuracies: of each child at each sigma, [S, n]; NaN where an output is not finite.
    norm: mean over children of the Euclidean norm of what they add to the parent's parameters, at sigma 1.
    """

    subspaces: int
    parent: float
    accuracies: list[list[float]]
    norm: float


def measure(key: jax.Array, settings: Settings, parent: Mutable, split: Split, path: pathlib.Path) -> tuple[Curve, ...]:
    """Measures the curves of all partitions, or reads those that the folder holds.

    Args:
      key: where children come from.
      settings: of the run.
      parent: the network that is mutated.
      split: examples to score on.
      path: folder of the curves.

    Returns:
      A `Curve` for each partition.
    """
    path.mkdir(exist_ok=True)
    curves = []
    for subspaces in settings.window.subspaces:
        known = path / f"{subspaces}.json"
        if not known.exists():
            space = parent.partition(subspaces, 1.0, scale=settings.scale)
            write_json(known, _curve(key, space, settings.window, subspaces, split)._asdict())
            stopping.here()
        curves.append(_read(known))
    return tuple(curves)


def _curve(key: jax.Array, space: Space, window: Window, subspaces: int, split: Split) -> Curve:
    genomes = space.sample(key, window.children)
    evaluate = evaluation.population(space, split, [evaluation.accuracy])

    def score(sigma, genomes):
        mutated = genomes._replace(sigma=jnp.full_like(genomes.sigma, sigma))
        return np.asarray(evaluate(None, space.params, mutated)[1][:, 0], np.float64).tolist()

    alone = jax.tree.map(lambda leaf: leaf[:1], genomes)
    parent = score(0.0, alone)[0]
    accuracies = [score(sigma, genomes) for sigma in window.sigmas]
    print(f"  {subspaces} subspaces: {[round(float(np.mean(row)), 3) for row in accuracies]}", flush=True)
    return Curve(subspaces, parent, accuracies, norm_of(space, genomes))


def norm_of(space: Space, genomes: subspace.Mutation) -> float:
    """Returns the mean over children of the norm of what they add to the parent's parameters."""
    assert space.child is not None
    make = space.child.make

    @jax.jit
    def norms(params, genomes):
        def norm(genome):
            parts = jax.tree.map(lambda a, b: jnp.square(a - b).sum(), make(params, genome), params.params)
            return jnp.sqrt(sum(jax.tree.leaves(parts)))

        return jax.lax.map(norm, genomes)

    return float(norms(space.params, genomes).mean())


def _read(path: pathlib.Path) -> Curve:
    known = json.loads(path.read_text())
    # JSON does not know NaN: a child whose outputs were not finite got nothing right.
    known["accuracies"] = [[0.0 if one is None else one for one in row] for row in known["accuracies"]]
    return Curve(**known)


def critical(sigmas: tuple[float, ...], losses: np.ndarray, allowed: float = ALLOWED) -> float | None:
    """Finds the largest sigma at which the mean loss of accuracy is at most `allowed`.

    Args:
      sigmas: the grid, ascending.
      losses: mean loss against the parent at each, [S].
      allowed: what may be lost.

    Returns:
      The sigma where the line between two points of the grid, over the logarithm of sigma, crosses `allowed` for the
      last time; None where that lies outside of the grid.
    """
    within = np.flatnonzero(losses <= allowed)
    if not len(within) or within[-1] == len(sigmas) - 1:
        return None
    low, high = within[-1], within[-1] + 1
    share = (allowed - losses[low]) / (losses[high] - losses[low])
    return float(np.exp((1 - share) * np.log(sigmas[low]) + share * np.log(sigmas[high])))


def summary(window: Window, curves: tuple[Curve, ...]) -> dict:
    """Gathers the curves as `result.json` holds them.

    Returns:
      "curves", each with mean and the 10th and 90th percentile over children, the critical sigma and the norm of the
      mutation there; "ratios" and "norm_ratios", those of each sparse partition over the dense one's.
    """
    rows = []
    for curve in curves:
        accuracies = np.array(curve.accuracies)
        low, high = np.percentile(accuracies, (10, 90), axis=1)
        found = critical(window.sigmas, curve.parent - accuracies.mean(axis=1))
        rows.append(
            {
                "subspaces": curve.subspaces,
                "parent": curve.parent,
                "sigmas": list(window.sigmas),
                "mean": accuracies.mean(axis=1).tolist(),
                "low": low.tolist(),
                "high": high.tolist(),
                "critical_sigma": found,
                "critical_norm": None if found is None else found * curve.norm,
            }
        )
    dense = next((row for row in rows if row["subspaces"] == 1), None)
    ratios = {
        what: {
            str(row["subspaces"]): row[key] / dense[key]
            for row in rows
            if dense is not None and row["subspaces"] > 1 and None not in (row[key], dense[key])
        }
        for what, key in (("ratios", "critical_sigma"), ("norm_ratios", "critical_norm"))
    }
    return {"allowed_loss": ALLOWED, "children": window.children, "curves": rows, **ratios}
