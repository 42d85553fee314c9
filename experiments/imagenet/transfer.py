"""Begins the training of one network with the weights of another one for ImageNet (arXiv 2212.13970).

    python -m experiments.imagenet.transfer --network NAME --student flax:NAME --data DATA [--mesh 1xDATA]

A student of the zoo learns twice on so many pictures of train as the options say, held in memory: from a random
beginning, and with the teacher's weights copied where the two networks align. Both learn with the same settings, on
this process's first device, and are scored on valid and test by all devices of the mesh.
"""

import argparse
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from experiments import zoo
from experiments.folder import RunFolder
from experiments.imagenet.gathering import add_counts, choose, gathered, identity_of
from experiments.imagenet.log import Log
from experiments.imagenet.networks import Taken, take
from experiments.imagenet.options import join, mesh_of, opened, parse
from experiments.imagenet.scoring import NAMES, Scorer
from experiments.options import at_least_1
from experiments.report import table, versions, write_json
from jaxevo import checkpoint, data, hosts, stopping, training, transfer
from jaxevo.data import Dataset, augment
from jaxevo.network import Member, Network, Trainable

PyTree = Any


def main(arguments: list[str] | None = None) -> None:
    """Runs the program."""
    options = parse("transfer", __doc__ or "", arguments, _own)
    if len(options.network) > 1:
        raise SystemExit("--network is there twice, expected one teacher; start the program once for each")
    join(options)
    mesh = mesh_of(options.mesh, members=False)
    if options.batch % mesh.shape["data"]:
        raise SystemExit(f"--batch is {options.batch}, expected a multiple of {mesh.shape['data']} devices")
    splits = choose(options)
    taken = take(options.network[0], options, splits.classes)
    student = _student(options.student, taken, splits.classes)
    identity = identity_of(options, ("student", "rate", "epochs"), taken, splits)
    with opened(options, identity) as folder, Log(folder.path) as log:
        dataset = gathered(splits, taken.recipe, options)
        result = run(taken.network, student, dataset, options, mesh, folder, log)
        if hosts.leads():
            write_json(folder.path / "result.json", {**identity, **result, "versions": versions()})
            _print(result, folder)


def _own(parser: argparse.ArgumentParser) -> None:
    add_counts(parser, 2048, 1024, 2048)
    add = parser.add_argument
    add("--student", metavar="NAME", required=True, help="flax:NAME of the zoo, over pictures of the teacher's size")
    add("--rate", metavar="R", type=float, default=1e-3, help="of AdamW, falling to 0 (default: 0.001)")
    add("--epochs", metavar="N", type=at_least_1, default=4, help="of each training (default: 4)")


def _student(name: str, taken: Taken, classes: tuple[str, ...]) -> Trainable:
    kind, _, rest = name.partition(":")
    if kind != "flax" or not rest:
        raise SystemExit(f"--student is {name!r}, expected flax:NAME of the zoo")
    try:
        return zoo.build(rest, (taken.recipe.size, taken.recipe.size, 3), classes)
    except ValueError as error:
        raise SystemExit(f"--student {name}: {error}") from None


def run(
    teacher: Network, student: Trainable, dataset: Dataset, options: argparse.Namespace, mesh: Mesh, folder: RunFolder,
    log: Log,
) -> dict[str, Any]:  # fmt: skip
    """Trains the student from both beginnings, continuing whatever the folder holds.

    Args:
      teacher: whose weights are copied.
      student: what learns.
      dataset: of the run.
      options: of the command line.
      mesh: on which networks are scored.
      folder: where checkpoints lie.
      log: what is said of each epoch.

    Returns:
      Scores of teacher and students, by split, and how far the two networks align.
    """
    drawn, key = jax.random.split(jax.random.key(options.seed))
    params, state = student.init(drawn)
    alignment = transfer.align(teacher, student)
    begun = {"params": params, "state": state}
    beginnings = {
        "random beginning": begun,
        "transfer": transfer.copy_weights(alignment, teacher.params, begun),
    }
    networks = {"teacher": teacher}
    for name, variables in beginnings.items():
        with folder.phase(name):
            place = folder.path / name.replace(" ", "-")
            member = _trained(key, student, variables, dataset, options, place, log.epoch(name))
            networks[name] = student.network(member.params, member.state)
    with folder.phase("report"):
        scores = {name: _scores(network, dataset, options.batch, mesh) for name, network in networks.items()}
    for name, row in scores.items():
        log.write(name, options.epochs, **{f"test {key}": value for key, value in row["test"].items()})
    report = transfer.report(alignment)
    return {
        "scores": scores,
        "similarity": alignment.similarity,
        "coverage": alignment.coverage,
        "warnings": list(report.warnings),
        "seconds": folder.seconds,
    }


def _trained(key, student: Trainable, variables: PyTree, dataset: Dataset, options, place, say) -> Member:
    steps = options.epochs * -(-len(dataset.train) // options.batch)
    optimizer = optax.adamw(optax.cosine_decay_schedule(options.rate, steps), weight_decay=0.01)
    member = Member(None, variables["params"], variables["state"], optimizer.init(variables["params"]))
    update = training.supervised(student, training.cross_entropy, optimizer)
    with checkpoint.Folder(place) as saved:
        found = saved.restore(member)
        member, epoch = (member, 0) if found is None else (found.tree, found.step)

        def callback(epoch, member, metrics):
            saved.save(epoch + 1, member)
            say(epoch, metrics)
            stopping.here()

        member, _ = training.fit(
            key, member, update, dataset.train, epochs=options.epochs, start_epoch=epoch,
            batch=min(options.batch, len(dataset.train)), augment=augment.flip(), callback=callback,
        )  # fmt: skip
    return member


def _scores(network: Network, dataset: Dataset, batch: int, mesh: Mesh) -> dict[str, dict[str, float]]:
    scorer, found = Scorer(network, mesh, batch), {}
    for which in ("valid", "test"):
        rows = data.rows_of_process(mesh, batch)
        streamed = data.stream(getattr(dataset, which), None, batch, rows=rows)
        state = scorer.run(data.prefetched(streamed, mesh, batch))
        found[which] = scorer.finish(jax.tree.map(np.asarray, state))
    return found


def _print(result: dict[str, Any], folder: RunFolder) -> None:
    rows = [
        (name, *(f"{row[which][key]:.4f}" for which in ("valid", "test") for key in NAMES))
        for name, row in result["scores"].items()
    ]
    columns = ("", *(f"{which}, {key.replace('_', '-')}" for which in ("valid", "test") for key in NAMES))
    title = f"similarity {result['similarity']:.2f}, coverage {result['coverage']:.2f}"
    table(title, columns, rows)
    for warning in result["warnings"]:
        print(warning)
    print(f"results are in {folder.path}")


if __name__ == "__main__":
    main()
