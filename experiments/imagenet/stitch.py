"""Stitches two networks for ImageNet together and evolves which parts of each are used (arXiv 2403.14224).

    python -m experiments.imagenet.stitch --network NAME --network NAME --data DATA

Stitches are fitted in closed form on train, networks are searched with NSGA-II on valid and reported on test: so many
pictures of each split as the options say, held in memory. The search stops after --budget networks; random search gets
as many. Both networks take pictures of one size, resized the same way; where they normalise them differently, the
second one's layers begin with the difference.
"""

import argparse
import dataclasses
import pathlib
import tempfile
from typing import Any

import jax

import jaxevo
from experiments.folder import RunFolder
from experiments.imagenet.gathering import add_counts, choose, gathered
from experiments.imagenet.log import Log
from experiments.imagenet.networks import alike, take
from experiments.imagenet.options import Watching, join, mesh_of, opened, parse
from experiments.loading import check_plots
from experiments.options import at_least_1
from experiments.stitching.pipeline import Outcome, Searched, objectives, stitched
from experiments.stitching.presets import PRETRAINED, Search, Settings
from experiments.stitching.reporting import report
from jaxevo import checkpoint, evaluation, hosts, search, stitching
from jaxevo.data import Dataset
from jaxevo.network import Network


def main(arguments: list[str] | None = None) -> None:
    """Runs the program."""
    options = parse("stitch", __doc__ or "", arguments, _own)
    if len(options.network) != 2:
        raise SystemExit(f"--network is there {len(options.network)} times, expected two networks to stitch together")
    join(options)
    check_plots()
    mesh = mesh_of(options.mesh, members=True)
    splits = choose(options)
    parents, recipe = alike([take(name, options, splits.classes) for name in options.network])
    settings = dataclasses.replace(
        PRETRAINED["small"], data=options.data, batch=options.batch, most=options.most, export=False,
        search=Search("nsga2", options.population), generations=options.generations, budget=options.budget,
    )  # fmt: skip
    identity = {
        **dataclasses.asdict(settings),
        "networks": options.network,
        "parameters": [checkpoint.digest(parent.params) for parent in parents],
        "recipe": dataclasses.asdict(recipe),
        "pictures": splits.fingerprint,
        "seed": options.seed,
    }
    with opened(options, identity) as folder, Log(folder.path) as log:
        dataset = gathered(splits, recipe, options)
        outcome = run(settings, dataset, parents, mesh, options.seed, folder, log)
        # Networks are scored by all processes together, so each makes the report, and one keeps it.
        with tempfile.TemporaryDirectory() as other:
            place = folder if hosts.leads() else Watching(pathlib.Path(other))
            result = report(settings, dataset, options.seed, place, outcome)
        log.write("end", len(result["front"]), **result["hypervolume"])


def _own(parser: argparse.ArgumentParser) -> None:
    add_counts(parser, 1024, 512, 2048)
    parser.add_argument("--most", metavar="N", type=at_least_1, default=10, help="pairs of layers (default: 10)")
    parser.add_argument("--population", metavar="N", type=at_least_1, default=24, help="of NSGA-II (default: 24)")
    parser.add_argument("--generations", metavar="N", type=at_least_1, default=200, help="at most (default: 200)")
    parser.add_argument("--budget", metavar="N", type=at_least_1, default=150, help="networks (default: 150)")


def run(
    settings: Settings,
    dataset: Dataset,
    parents: tuple[Network, ...],
    mesh: Any,
    seed: int,
    folder: RunFolder,
    log: Log,
) -> Outcome:
    """Stitches and searches, continuing whatever the folder holds.

    Args:
      settings: of the run.
      dataset: stitches are fitted on train, networks are scored on valid; test is not touched.
      parents: the networks.
      mesh: on which networks are scored.
      seed: of everything.
      folder: where checkpoints lie.
      log: what is said of each generation.

    Returns:
      The outcome.
    """
    with folder.phase("stitches"):
        merged, fits = stitched(settings, dataset, seed, parents, folder.path)
    space = stitching.switches(merged, probability=settings.probability)
    found: dict[str, Searched] = {}
    for index, name in enumerate(("nsga2", "random search")):
        with folder.phase(name):
            evaluate = evaluation.shared(
                space, dataset.valid, objectives(settings, dataset), batch=settings.batch, mesh=mesh, accelerate=True
            )
            size = settings.search.population
            if found:
                total = found["nsga2"].counts["distinct_evaluations"]
                strategy, limits = search.random_search(space, size, total=total), (-(-total // size), None)
            else:
                strategy, limits = search.nsga2(space, size), (settings.generations, settings.budget)
            result = jaxevo.run(
                jax.random.fold_in(jax.random.key(seed), index), strategy, evaluate, limits[0], budget=limits[1],
                checkpoint=folder.path / name.replace(" ", "-"), callback=log.generation(name),
            )  # fmt: skip
            memory = evaluate.memory
            scored = search.Scored(memory["genomes"], memory["fitness"])
            found[name] = Searched(result, evaluate.report(), scored)
    return Outcome(parents, merged, fits, space, found)


if __name__ == "__main__":
    main()
