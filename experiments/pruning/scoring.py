"""What heads and their ensembles reach on valid and test, as entries of `result.json`."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.pruning.pipeline import Outcome, features
from experiments.pruning.presets import Settings
from experiments.pruning.starting import Task
from jaxevo import ensemble, evaluation, pruning, search
from jaxevo.data import Split
from jaxevo.evaluation import Detector
from jaxevo.network import Member, Network

Entry = dict[str, Any]

SPLITS = ("valid", "test")

#: The worst point that counts in a hypervolume: nothing right, all units active, robustness of chance.
REFERENCE = (0.0, -1.0, 0.5)


class Examples(NamedTuple):
    """Features of one split.

    known: of the classes that heads learn.
    strange: of what is not of the distribution, by where it comes from.
    """

    known: Split
    strange: dict[str, Split]


def examples_of(outcome: Outcome, task: Task, path: Any) -> dict[str, Examples]:
    """Returns the features of valid and test; those of test are computed here and nowhere before."""
    found = {}
    for which in SPLITS:
        splits = [getattr(task.known, which), *(kinds[which] for kinds in task.strange.values())]
        known, *strange = features(outcome.backbone, splits, path)
        found[which] = Examples(known, dict(zip(task.strange, strange, strict=True)))
    return found


def entries(settings: Settings, outcome: Outcome, examples: dict[str, Examples], members: Member) -> list[Entry]:
    """Scores members on valid and test.

    Args:
      settings: of the run.
      outcome: what the run found.
      examples: of both splits.
      members: stacked [n, ...].

    Returns:
      For each its number of active units, their share, parameters, and for each split accuracy, AUROC over all that is
      strange, and AUROC over each kind of it.
    """
    scores = {which: _scores(settings, outcome, one, members) for which, one in examples.items()}
    found = []
    for index, genome in enumerate(np.asarray(members.genome)):
        cost = outcome.space.cost(genome)
        shares = {"active": int(genome.sum()), "active_share": float(genome.mean()), "parameters": int(cost.parameters)}
        found.append({**shares, **{which: rows[index] for which, rows in scores.items()}})
    return found


def _scores(settings: Settings, outcome: Outcome, examples: Examples, members: Member) -> list[dict[str, float]]:
    detector = evaluation.odin(settings.temperature, settings.epsilon)
    metrics = [
        evaluation.accuracy,
        evaluation.auroc(list(examples.strange.values()), detector),
        *(evaluation.auroc(split, detector, f"auroc, {name}") for name, split in examples.strange.items()),
    ]
    evaluate = evaluation.after(outcome.evaluate.fit, examples.known, metrics)
    return [dict(zip(evaluate.objectives, map(float, row), strict=True)) for row in evaluate.score(members)]


def points_of(found: list[Entry], which: str) -> np.ndarray:
    """Returns entries as points [n, 3]: accuracy, minus the active share, AUROC on a split."""
    return np.array([[e[which]["accuracy"], -e["active_share"], e[which]["auroc"]] for e in found]).reshape(-1, 3)


def hypervolume_of(found: list[Entry], which: str) -> float:
    """Returns the hypervolume of entries on a split, from `REFERENCE`."""
    return search.hypervolume(points_of(found, which), np.array(REFERENCE))


def voters(outcome: Outcome, members: Member) -> list[Network]:
    """Returns members as networks that share a function, so that one program serves all."""

    def apply(params, inputs):
        return outcome.space.apply(params["variables"], params["genome"], inputs)

    networks = []
    for index in range(len(members.genome)):
        one = jax.tree.map(lambda leaf, i=index: leaf[i], members._replace(optimizer_state=None))
        params = {"variables": {"params": one.params, "state": one.state}, "genome": one.genome}
        networks.append(Network(apply, params, outcome.space.inputs, f"head {index}", classes=outcome.space.classes))
    return networks


def ensembles(
    settings: Settings, outcome: Outcome, examples: dict[str, Examples], members: Member, found: list[Entry]
) -> list[Entry]:
    """Lets the members of each quantile of accuracy vote, as published.

    Args:
      settings, outcome, examples: as in `entries`.
      members: of the front.
      found: their entries.

    Returns:
      For each bin, best first, its members, and on each split accuracy and AUROC of the vote, of the member that is
      best in accuracy on valid and of the one best in AUROC on valid.
    """
    networks = voters(outcome, members)
    accuracy = [entry["valid"]["accuracy"] for entry in found]
    rows = []
    for chosen in pruning.accuracy_bins(accuracy, min(settings.bins, len(found))):
        vote = ensemble.vote([networks[i] for i in chosen])
        best = {name: max(chosen, key=lambda i, name=name: found[i]["valid"][name]) for name in ("accuracy", "auroc")}
        row: Entry = {"members": [int(i) for i in chosen]}
        for which, one in examples.items():
            row[which] = {
                "accuracy": _accuracy(vote, one.known),
                "auroc": area(evaluation.odin(settings.temperature, settings.epsilon), vote, one),
                "best_accuracy": found[best["accuracy"]][which]["accuracy"],
                "best_auroc": found[best["auroc"]][which]["auroc"],
            }
        rows.append(row)
    return rows


def area(detector: Detector, network: Network, examples: Examples) -> float:
    """Returns the AUROC of a detector on a network, over all that is strange."""

    @jax.jit
    def scores(params, inputs):
        def answer(inputs):
            outputs = network.apply(params, inputs)
            tiny = jnp.finfo(jnp.float32).tiny
            return jnp.log(jnp.maximum(outputs, tiny)) if network.output == "probabilities" else outputs

        return detector(answer, inputs)

    # One call, since each shape is compiled for.
    inputs = np.concatenate([examples.known.inputs, *(split.inputs for split in examples.strange.values())])
    return evaluation.roc_area(*np.split(scores(network.params, inputs), [len(examples.known)]))


def _accuracy(network: Network, split: Split) -> float:
    return float((np.asarray(network(split.inputs)).argmax(axis=-1) == split.labels).mean())
