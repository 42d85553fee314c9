"""Several generations: truncation selection over sums of mutations."""

import pathlib
from typing import NamedTuple

import jax
import numpy as np

import jaxevo
from experiments.subspace.generation import Generation
from experiments.subspace.presets import Settings
from experiments.subspace.spaces import Kind, Mutable, nll_of
from jaxevo import ensemble, evaluation, search
from jaxevo.data import Split
from jaxevo.network import Network


class Evolved(NamedTuple):
    """What several generations of one kind give.

    sigma: of every mutation.
    nll: the least NLL in each generation, on the examples that the search sees.
    parent_nll: that of the parent on them.
    best: the best child.
    """

    sigma: float
    nll: list[float]
    parent_nll: float
    best: Network


def evolve(
    key: jax.Array, kind: Kind, settings: Settings, parent: Mutable, seen: Split, first: Generation, path: pathlib.Path
) -> Evolved:
    """Evolves one kind of mutations, or continues.

    Args:
      key: a key.
      kind: of mutations.
      settings: of the run.
      parent: the network that is mutated.
      seen: what children are scored on, examples of valid.
      first: the one generation of that kind; sigma is where its best child was best, since here no ensemble votes.
      path: folder of the checkpoint.

    Returns:
      What was found.
    """
    sigma = min(first.grid, key=lambda row: min(np.inf if nll is None else nll for nll in row["nll"]))["sigma"]
    asked = settings.evolution
    space = parent.kind(kind, settings, sigma, asked.terms)
    evaluate = evaluation.population(space, seen, [-evaluation.nll])
    strategy = search.truncation(space, asked.population, asked.elite)
    result = jaxevo.run(key, strategy, evaluate, asked.generations, checkpoint=path)
    best = [-entry["best"][evaluate.objectives[0]] for entry in result.history]
    parent_nll = float(nll_of(ensemble.predict([parent.fast], seen), seen.labels)[0])
    return Evolved(sigma, best, parent_nll, space.decode(space.params, result.best))
