"""Prunes heads on the features of a network for ImageNet (arXiv 2302.10253).

    python -m experiments.imagenet.prune --network NAME --data DATA

The network runs once over so many pictures of each split as the options say, without its last layer; its features are
kept in the folder. The last tenth of the classes is held out. Heads with one hidden layer learn the others on train and
are stopped and scored on valid: by accuracy, by the share of hidden units that are active, and by how well pictures of
the held-out classes are told apart (AUROC). NSGA-II searches which units stay, and its front is reported on test.
"""

import argparse
import dataclasses
from typing import Any

import jax
import numpy as np
import optax

import jaxevo
from experiments.folder import RunFolder
from experiments.imagenet.gathering import PARTS, Splits, add_counts, choose, gathered, identity_of
from experiments.imagenet.log import Log
from experiments.imagenet.networks import Taken, take
from experiments.imagenet.options import join, mesh_of, opened, parse
from experiments.options import at_least_1
from experiments.parents import extractor, rows_of
from experiments.pruning.pipeline import objectives
from experiments.pruning.presets import PRESETS
from experiments.report import table, versions, write_json
from jaxevo import checkpoint, evaluation, hosts, pruning, search, training
from jaxevo.data import Dataset, Split

#: One class in so many is held out.
HELD_OUT = 10

#: What heads are searched by, in the order of the fitness.
OBJECTIVES = ("accuracy", "-active_share", "auroc")

#: Temperature and step of the detector, which do not depend on the preset.
DETECTOR = PRESETS["small"]


def main(arguments: list[str] | None = None) -> None:
    """Runs the program."""
    options = parse("prune", __doc__ or "", arguments, _own)
    if len(options.network) > 1:
        raise SystemExit("--network is there twice, but one gives the features; start the program once for each")
    join(options)
    mesh = mesh_of(options.mesh, members=True)
    splits = choose(options)
    taken = take(options.network[0], options, splits.classes)
    asked = ("hidden", "rate", "epochs", "patience", "population", "offspring", "generations")
    identity = identity_of(options, asked, taken, splits)
    with opened(options, identity) as folder, Log(folder.path) as log:
        with folder.phase("features"):
            dataset = features(splits, taken, options, folder)
        result = run(dataset, options, mesh, folder, log)
        if hosts.leads():
            write_json(folder.path / "result.json", {**identity, **result, "versions": versions()})
            _print(result, folder)


def _own(parser: argparse.ArgumentParser) -> None:
    add_counts(parser, 20_000, 5_000, 5_000)
    add = parser.add_argument
    add("--hidden", metavar="N", type=at_least_1, default=512, help="units of a head (default: 512)")
    add("--rate", metavar="R", type=float, default=1e-2, help="of SGD with momentum (default: 0.01)")
    add("--epochs", metavar="N", type=at_least_1, default=60, help="of each head at most (default: 60)")
    add("--patience", metavar="N", type=at_least_1, default=5, help="epochs without a better loss (default: 5)")
    add("--population", metavar="N", type=int, default=24, help="of NSGA-II (default: 24)")
    add("--offspring", metavar="N", type=at_least_1, default=8, help="heads in a generation (default: 8)")
    add("--generations", metavar="N", type=at_least_1, default=20, help="of NSGA-II (default: 20)")


def features(splits: Splits, taken: Taken, options: argparse.Namespace, folder: RunFolder) -> Dataset:
    """Returns the features of all pictures, those of the folder where it holds them."""
    place = folder.path / "features"
    if place.exists():
        like = {name: {"inputs": 0, "labels": 0} for name in PARTS}
        tree, _ = checkpoint.read(place, like)
        found = {name: Split(np.asarray(one["inputs"]), np.asarray(one["labels"])) for name, one in tree.items()}
        return Dataset(splits.name, found["train"], found["valid"], found["test"], splits.classes)
    dataset = gathered(splits, taken.recipe, options, through=extractor(taken.network))
    checkpoint.write(place, {name: dataclasses.asdict(getattr(dataset, name)) for name in PARTS}, {})
    return dataset


def run(dataset: Dataset, options: argparse.Namespace, mesh: Any, folder: RunFolder, log: Log) -> dict[str, Any]:
    """Searches for heads, continuing whatever the folder holds.

    Args:
      dataset: features.
      options: of the command line.
      mesh: on which heads are trained.
      folder: where the checkpoint lies.
      log: what is said of each generation.

    Returns:
      The front on valid and test, and the history.

    Raises:
      SystemExit: where a split has no pictures of the classes that are held out, or of the others.
    """
    learned = len(dataset.classes) - max(1, len(dataset.classes) // HELD_OUT)
    known, strange = ({}, {})
    for name in PARTS:
        split = getattr(dataset, name)
        known[name], strange[name] = (rows_of(split, split.labels < learned), rows_of(split, split.labels >= learned))
        if not len(known[name]) or (name != "train" and not len(strange[name])):
            raise SystemExit(
                f"--{name} gives {len(known[name])} pictures of the first {learned} classes and {len(strange[name])} "
                "of the others, which are held out; ask for more"
            )
    init, key = jax.random.split(jax.random.key(options.seed))
    head = pruning.head(dataset.train.inputs.shape[-1], dataset.classes[:learned], (options.hidden,))
    # All heads begin alike, so that a unit is the same in each and a search can learn which to keep.
    space = pruning.neurons(head, start=head.init(init)[0])
    optimizer = optax.sgd(options.rate, momentum=0.9, nesterov=True)
    fit = training.population(
        space, training.learner(space, training.cross_entropy, optimizer), known["train"], epochs=options.epochs,
        batch=options.batch, valid=known["valid"], patience=options.patience, mesh=mesh,
    )  # fmt: skip
    with folder.phase("search"):
        evaluate = evaluation.after(fit, known["valid"], objectives(DETECTOR, [strange["valid"]]))
        strategy = search.keeping(search.nsga2(space, options.population, options.offspring))
        place = folder.path / "search"
        result = jaxevo.run(
            key, strategy, evaluate, options.generations, checkpoint=place, callback=log.generation("search")
        )
    with folder.phase("report"):
        test = evaluation.after(fit, known["test"], objectives(DETECTOR, [strange["test"]]))
        scores = {"valid": result.front.fitness, "test": test.score(result.front.genomes)}
    front = [
        {which: dict(zip(OBJECTIVES, map(float, rows[index]), strict=True)) for which, rows in scores.items()}
        for index in range(len(result.front.fitness))
    ]
    for index, entry in enumerate(front):
        log.write("front", index, **{f"test {name}": value for name, value in entry["test"].items()})
    return {"front": front, "learned": learned, "history": list(result.history), "seconds": folder.seconds}


def _print(result: dict[str, Any], folder: RunFolder) -> None:
    rows = [
        (
            index,
            f"{-entry['valid']['-active_share']:.1%}",
            *(f"{entry[which][name]:.4f}" for which in ("valid", "test") for name in ("accuracy", "auroc")),
        )
        for index, entry in enumerate(result["front"])
    ]
    columns = ("head", "active", "accuracy, valid", "AUROC, valid", "accuracy, test", "AUROC, test")
    table(f"front of heads over {result['learned']} classes", columns, rows)
    print(f"results are in {folder.path}")


if __name__ == "__main__":
    main()
