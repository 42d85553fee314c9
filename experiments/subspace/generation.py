"""One generation of a trained network: children, what is chosen of them on valid, and the ensembles of that.

n is the number of children, N that of examples, C that of classes.
"""

import json
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.report import write_json
from experiments.subspace.presets import Settings
from experiments.subspace.spaces import Kind, Mutable, nll_of, said, take
from jaxevo import ensemble, stopping, subspace
from jaxevo.data import Split
from jaxevo.space import Space


class Generation(NamedTuple):
    """What one kind of children gives; everything in it is chosen on valid.

    space: of the mutations.
    genomes: the n children, at the chosen sigma.
    grid: for each sigma what the first children reach, see `_scored`.
    sigma: the chosen one, where the greedy ensemble of those has the least NLL.
    nll: of each of the n children at the chosen sigma; None where outputs are not finite.
    greedy: indices of the members of the greedy ensemble, in the order of choice.
    best: indices of the best children by NLL, the best one first.
    recombined: the genome that sums the best children's mutations up.
    strength: what that sum is multiplied by.
    """

    space: Space
    genomes: subspace.Mutation
    grid: list[dict[str, Any]]
    sigma: float
    nll: list[float | None]
    greedy: list[int]
    best: list[int]
    recombined: subspace.Mutation
    strength: float


def generate(
    key: jax.Array, kind: Kind, settings: Settings, parent: Mutable, valid: Split, path: pathlib.Path
) -> Generation:
    """Makes the children of one kind at every sigma, and chooses sigma and members on valid.

    Args:
      key: where children come from.
      kind: of mutations.
      settings: of the run.
      parent: the network that is mutated.
      valid: what to choose on.
      path: folder of the scores; those that it holds are read.

    Returns:
      The generation.
    """
    path.mkdir(exist_ok=True)
    asked = settings.generation
    space = parent.kind(kind, settings, 1.0)
    drawn = space.sample(key, asked.children)

    def scored(name, genomes, sigma):
        known = path / f"{name}.json"
        if not known.exists():
            write_json(known, _scored(said(space, _at(genomes, sigma), valid), valid.labels, sigma, asked.members))
            stopping.here()
        row = json.loads(known.read_text())
        print(f"  {name}, sigma {sigma:g}: NLL of the greedy ensemble on valid {row['greedy_nll']:.4f}", flush=True)
        return row

    first = take(drawn, list(range(asked.pilot)))
    grid = [scored(f"{kind}-{index}", first, sigma) for index, sigma in enumerate(asked.sigmas)]
    sigma = min(grid, key=lambda row: row["greedy_nll"])["sigma"]
    found = scored(kind, drawn, sigma)
    order = np.argsort([np.inf if nll is None else nll for nll in found["nll"]], kind="stable")
    genomes, best = _at(drawn, sigma), order[: asked.best].tolist()
    recombined, strength = _recombined(space, take(genomes, best), valid)
    return Generation(space, genomes, grid, sigma, found["nll"], found["greedy"], best, recombined, strength)


def _at(genomes: subspace.Mutation, sigma: float) -> subspace.Mutation:
    return genomes._replace(sigma=jnp.full_like(genomes.sigma, sigma))


def _scored(probabilities: np.ndarray, labels: np.ndarray, sigma: float, members: int) -> dict[str, Any]:
    """Scores what children say: NLL of each, members of the greedy ensemble, and its NLL."""
    greedy = ensemble.greedy(probabilities, labels, members)
    return {
        "sigma": sigma,
        "nll": nll_of(probabilities, labels).tolist(),
        "accuracy": (probabilities.argmax(axis=-1) == labels).mean(axis=1).tolist(),
        "greedy": greedy.tolist(),
        "greedy_nll": float(nll_of(probabilities[greedy].mean(axis=0)[None], labels)[0]),
    }


def _recombined(space: Space, best: subspace.Mutation, valid: Split) -> tuple[subspace.Mutation, float]:
    """Adds mutations up, between their mean and their sum: the strength with the least NLL on valid."""
    n = len(best.sign)
    found = []
    for strength in sorted({1 / n, n**-0.5, 1.0}):
        genome = subspace.combine(best, jnp.full(n, strength))
        nll = nll_of(ensemble.predict([space.decode(space.params, genome)], valid), valid.labels)[0]
        found.append((np.inf if np.isnan(nll) else nll, strength, genome))
    _, strength, genome = min(found, key=lambda one: one[0])
    return genome, strength
