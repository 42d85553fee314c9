"""Mutates a network for ImageNet in a part of its parameters at a time, and lets the best children vote.

    python -m experiments.imagenet.subspace --network NAME --data DATA [--mesh POPxDATA]

Children differ from the network in one of --subspaces parts of its layers, by noise of standard deviation --sigma times
that of each layer (arXiv 2302.05832). Truncation selection runs over them by their NLL on valid; of the last
generation, --members vote, chosen greedily on valid, and the vote is reported on test: so many pictures of each split
as the options say, held in memory. Members lie on the mesh's axis POP, the rows of each batch on DATA.
"""

import argparse
from typing import Any

import jax
import numpy as np

import jaxevo
from experiments.folder import RunFolder
from experiments.imagenet.gathering import add_counts, choose, gathered, identity_of
from experiments.imagenet.log import Log
from experiments.imagenet.networks import take
from experiments.imagenet.options import join, mesh_of, opened, parse
from experiments.options import at_least_1
from experiments.report import table, versions, write_json
from experiments.subspace.spaces import Mutable
from experiments.subspace.spaces import take as some
from jaxevo import ensemble, evaluation, hosts, search
from jaxevo.data import Dataset
from jaxevo.network import Network


def main(arguments: list[str] | None = None) -> None:
    """Runs the program."""
    options = parse("subspace", __doc__ or "", arguments, _own)
    if len(options.network) > 1:
        raise SystemExit("--network is there twice, but one network is mutated; start the program once for each")
    join(options)
    mesh = mesh_of(options.mesh, members=True)
    splits = choose(options)
    taken = take(options.network[0], options, splits.classes)
    asked = ("subspaces", "sigma", "population", "generations", "members")
    identity = identity_of(options, asked, taken, splits)
    with opened(options, identity) as folder, Log(folder.path) as log:
        dataset = gathered(splits, taken.recipe, options)
        result = run(taken.network, dataset, options, mesh, folder, log)
        if hosts.leads():
            write_json(folder.path / "result.json", {**identity, **result, "versions": versions()})
            _print(result, folder)


def _own(parser: argparse.ArgumentParser) -> None:
    add_counts(parser, 1, 1024, 2048)
    add = parser.add_argument
    add("--subspaces", metavar="N", type=at_least_1, default=16, help="parts of the parameters (default: 16)")
    add("--sigma", metavar="S", type=float, default=0.075, help="of the noise, relative (default: 0.075)")
    add("--population", metavar="N", type=int, default=64, help="children in a generation (default: 64)")
    add("--generations", metavar="N", type=at_least_1, default=1, help="of truncation selection (default: 1)")
    add("--members", metavar="N", type=at_least_1, default=16, help="votes of the ensemble (default: 16)")


def run(
    network: Network, dataset: Dataset, options: argparse.Namespace, mesh: Any, folder: RunFolder, log: Log
) -> dict[str, Any]:
    """Evolves children and chooses who votes, continuing whatever the folder holds.

    Args:
      network: the parent.
      dataset: children are scored and chosen on valid, and reported on test.
      options: of the command line.
      mesh: on which children are scored.
      folder: where the checkpoint lies.
      log: what is said of each generation.

    Returns:
      What parent, best child and ensemble reach, by split, and the history.
    """
    masks, key = jax.random.split(jax.random.key(options.seed))
    parent = Mutable.of(network, masks)
    space = parent.partition(
        options.subspaces, options.sigma, antithetic=True, granularity="layer", scale="relative",
        terms=options.generations,
    )  # fmt: skip
    with folder.phase("search"):
        evaluate = evaluation.population(space, dataset.valid, [-evaluation.nll], batch=options.batch, mesh=mesh)
        strategy = search.truncation(space, options.population)
        place = folder.path / "search"
        result = jaxevo.run(
            key, strategy, evaluate, options.generations, checkpoint=place, callback=log.generation("search")
        )
    with folder.phase("report"):
        order = np.argsort(-result.population.fitness[:, 0], kind="stable")[: 2 * options.members].tolist()
        genomes = some(result.population.genomes, order)
        children = [space.decode(space.params, some(genomes, index)) for index in range(len(order))]
        said = {
            which: ensemble.predict(children, getattr(dataset, which), options.batch) for which in ("valid", "test")
        }
        votes = ensemble.greedy(said["valid"], dataset.valid.labels, options.members)
        alone = {which: ensemble.predict([parent.fast], getattr(dataset, which), options.batch) for which in said}
        rows = {"parent": alone, "best child": {which: one[:1] for which, one in said.items()}}
        rows["greedy ensemble"] = {which: one[votes] for which, one in said.items()}
        scores = {
            name: {
                which: ensemble.report(spoken, getattr(dataset, which).labels)["vote"] for which, spoken in row.items()
            }
            for name, row in rows.items()
        }
    for name, row in scores.items():
        log.write(name.replace(" ", "_"), len(order), **{f"test_{key}": value for key, value in row["test"].items()})
    return {"scores": scores, "votes": votes.tolist(), "history": list(result.history), "seconds": folder.seconds}


def _print(result: dict[str, Any], folder: RunFolder) -> None:
    rows = [
        (name, *(f"{row[which][key]:.4f}" for which in ("valid", "test") for key in ("accuracy", "nll", "ece")))
        for name, row in result["scores"].items()
    ]
    columns = ("", *(f"{which}, {name}" for which in ("valid", "test") for name in ("accuracy", "NLL", "ECE")))
    table("children of one network", columns, rows)
    print(f"results are in {folder.path}")


if __name__ == "__main__":
    main()
