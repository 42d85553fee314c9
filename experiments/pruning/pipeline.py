"""The phases of the experiment before the report, in order: backbone, features, whole heads, and the searches."""

import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.folder import RunFolder
from experiments.pruning.presets import Settings
from experiments.pruning.starting import Task, backbone_of, keys_of
from jaxevo import checkpoint, evaluation, pruning, search, training
from jaxevo.data import Split
from jaxevo.network import Member, Network
from jaxevo.space import Space

#: Heads that random search trains at a time.
RANDOM_BATCH = 10

#: Generations between two checkpoints.
EVERY = 5


class Outcome(NamedTuple):
    """What the phases before the report give.

    backbone: the frozen network.
    space: of the pruned heads.
    evaluate: what scores them on valid.
    references: heads with all units, stacked.
    searches: what NSGA-II and random search found, by name.
    """

    backbone: Network
    space: Space
    evaluate: evaluation.AfterTraining
    references: Member
    searches: dict[str, search.Result]


def run(settings: Settings, task: Task, seed: int, folder: RunFolder) -> Outcome:
    """Runs everything but the report, continuing whatever the folder holds.

    Args:
      settings: of the run.
      task: heads are trained on train, stopped and scored on valid; test is not touched.
      seed: of everything.
      folder: where checkpoints and features lie.

    Returns:
      The outcome.
    """
    keys = keys_of(seed)
    with folder.phase("backbone"):
        backbone = backbone_of(settings, seed, folder.path / "backbone")
    with folder.phase("features"):
        seen = [task.known.train, task.known.valid, *(which["valid"] for which in task.strange.values())]
        train, valid, *strange = features(backbone, seen, folder.path)
    head = pruning.head(train.inputs.shape[-1], task.known.classes, settings.hidden)
    start = head.init(keys["start"])[0] if settings.same_start else None
    space = pruning.neurons(head, settings.prune, start=start)
    fit = training_of(settings, space, train, valid)
    evaluate = evaluation.after(fit, valid, objectives(settings, strange))
    with folder.phase("whole heads"):
        references = _references(keys["references"], settings, space, fit, folder.path / "references")
    asked = settings.search
    left = asked.evaluations - asked.population
    nsga2 = search.keeping(search.nsga2(space, asked.population, asked.offspring))
    chance = search.keeping(search.random_search(space, RANDOM_BATCH, total=asked.evaluations))
    plans = {
        "nsga2": (nsga2, 1 + -(-left // asked.offspring)),
        "random search": (chance, -(-asked.evaluations // RANDOM_BATCH)),
    }
    found = {}
    for name, (strategy, generations) in plans.items():
        with folder.phase(name):
            # Its own evaluation, so that counts of the history are those of the search.
            own = evaluation.after(fit, valid, objectives(settings, strange))
            place = folder.path / name.replace(" ", "-")
            found[name] = search.run(keys[name], strategy, own, generations, checkpoint=place, every=EVERY)
    return Outcome(backbone, space, evaluate, references, found)


def features(backbone: Network, splits: list[Split], path: pathlib.Path) -> list[Split]:
    """Returns the features of splits, which lie in the folder of the run."""
    return evaluation.features(backbone, splits, folder=path / "features")


def objectives(settings: Settings, strange: list[Split]) -> list[evaluation.Metric]:
    """Returns what heads are searched by: accuracy, how few units are active, and robustness."""
    detector = evaluation.odin(settings.temperature, settings.epsilon)
    return [evaluation.accuracy, -pruning.active_share, evaluation.auroc(strange, detector)]


def training_of(settings: Settings, space: Space, train: Split, valid: Split) -> training.PopulationFit:
    """Returns how heads are trained."""
    asked = settings.training
    learner = training.learner(
        space, training.cross_entropy, optax.sgd(asked.rate, momentum=asked.momentum, nesterov=True)
    )
    return training.population(
        space, learner, train, epochs=asked.epochs, batch=asked.batch, valid=valid, patience=asked.patience
    )


def _references(
    key: jax.Array, settings: Settings, space: Space, fit: training.PopulationFit, path: pathlib.Path
) -> Member:
    """Trains heads with all units, or reads them."""
    begin, train = jax.random.split(key)
    whole = jnp.ones_like(space.sample(begin, settings.references))
    assert space.init is not None
    members = jax.vmap(space.init)(jax.random.split(begin, settings.references), whole)
    if path.exists():
        return checkpoint.read(path, members)[0]
    fitted = fit(train, members)
    checkpoint.write(path, fitted.members, {"epochs": fitted.epochs.tolist()})
    return jax.tree.map(np.asarray, fitted.members)
