"""What every system spreads over devices, made small: `python -m tests.hosts.work OUT [--process I --port PORT]`.

Without a process it runs alone, with one as one of two. What it finds goes to OUT, an npz file of arrays.
"""

import argparse
import dataclasses
import os
import pathlib
import signal

import jax
import numpy as np
import optax

import jaxevo
from jaxevo import as_trainable, data, evaluation, hosts, pbt, pruning, search, stitching, subspace, training, transfer
from tests.networks import build
from tests.stitching.merging import examples, merged_of

SEED = 11

#: Members of populations, a number that devices do not divide.
COUNT = 5


def children(mesh: jax.sharding.Mesh, chunk: int) -> np.ndarray:
    """Returns the parameters that an evaluation makes of children that add up two mutations, [9, all]."""
    space, count = sparse("layer", 2), 9
    evaluate = evaluation.population(space, examples(8), [-evaluation.nll], chunk=chunk, layout="apart", mesh=mesh)
    program = evaluate.program
    genomes = space.sample(key(), count)
    params, genomes = jax.device_put((space.params, space.vary(key(), genomes, genomes)), program.replicated)
    stacked, _ = program.prepare(genomes, count)
    steps = range(-(-count // program.together))
    made = [jax.tree.leaves(hosts.fetch(program.make(params, stacked, np.int32(step)))) for step in steps]
    return np.concatenate([np.concatenate([leaf.reshape(len(leaf), -1) for leaf in one], 1) for one in made])[:count]


def key() -> jax.Array:
    """Returns the key of everything; a constant would start JAX before it knows of other processes."""
    return jax.random.key(SEED)


def sent(mesh: jax.sharding.Mesh) -> np.ndarray:
    """Returns the bytes that each device receives in a generation of mutants of a small parent, and of a larger one."""
    found = []
    for channels in (4, 16):
        evaluate = evaluation.population(sparse("weight", 1, channels), examples(8), [-evaluation.nll], mesh=mesh)
        found.append(evaluate.communication_bytes(COUNT))
    return np.array(found)


def sparse(granularity: str, terms: int, channels: int = 4):
    """Makes a space of mutations whose sigma is relative, where bits would differ first."""
    parent = build(0, channels, ("plain",))
    return subspace.partition(parent, 3, 0.1, granularity=granularity, dynamic=True, scale="relative", terms=terms)


def scores(mesh: jax.sharding.Mesh) -> dict[str, np.ndarray]:
    """Returns the fitness of members of spaces by every evaluation, and what else runs over a batch."""
    pair = build(1, 4, ("plain", "stride"), name="a"), build(2, 4, ("stride",), name="b")
    merged, split = merged_of(*pair, fitted=False), examples(44)
    metrics = [evaluation.accuracy, -evaluation.nll]
    switches = stitching.switches(merged, probability=0.4)
    spaces = {
        "subspace": sparse("weight", 1),
        "pruning": pruning.channels(build(1, 4, ("plain",))),
    }
    found = {}
    for name, space in spaces.items():
        genomes = space.sample(key(), COUNT)
        evaluate = evaluation.population(space, split, metrics, batch=20, mesh=mesh)
        found[f"{name} fitness"] = evaluate(None, space.params, genomes)[1]
    evaluate = evaluation.shared(switches, split, metrics, batch=20, mesh=mesh)
    found["shared fitness"] = evaluate(None, switches.params, switches.sample(key(), COUNT))[1]
    _, fits = stitching.fit(key(), merged, split, batch=8, mesh=mesh)
    # Ridge, held-out error and CKA; the kernels are free where a feature has next to no variance.
    found["fits"] = np.array([fit[1:] for fit in fits])
    (moments,) = evaluation.grams(key(), lambda params, x: [x], {}, [(0, 0)], split, batch=3, folds=4, mesh=mesh)
    found["moments"] = moments.folds
    return {name: np.asarray(array) for name, array in found.items()}


def trained(mesh: jax.sharding.Mesh) -> dict[str, np.ndarray]:
    """Returns members that were trained in a population, and their fitness; and those of a network after transfer."""
    digits = data.load("digits")
    split = data.Split(digits.train.inputs[:40], digits.train.labels[:40])
    layers = [
        pbt.Convolution("first", 1, ("conv1", "conv3"), (2, 4), ("relu", "swish"), ("none", "batch"), stride=2),
        pbt.Plain("mean", lambda maps: maps.mean((1, 2))),
        pbt.Dense("logits", 4, (10,)),
    ]
    space = pbt.layers(pbt.chain(layers, jax.ShapeDtypeStruct((8, 8, 1), np.float32)))
    learner = training.learner(space, training.cross_entropy, optax.sgd(0.1))
    members = jax.vmap(space.init)(jax.random.split(key(), COUNT), space.sample(key(), COUNT))
    found = {}
    for layout, compact in (("abreast", False), ("steps", True)):
        fit = training.population(
            space, learner, split, epochs=2, batch=20, layout=layout, compact=compact, mesh=mesh
        )  # fmt: skip
        after = evaluation.after(fit, split, [-evaluation.nll])
        fitted, found[f"pbt {layout} fitness"] = after(key(), space.params, members)
        found |= flat(f"pbt {layout} params", fitted.params)

    source, target = build(3, 8, ("plain", "residual")), build(4, 4, ("plain",))
    filled = transfer.copy_weights(transfer.align(source, target), source.params, target.params)
    trainable, optimizer = as_trainable(dataclasses.replace(target, params=filled)), optax.sgd(0.1)
    begun = training.start(key(), trainable, optimizer)._replace(optimizer_state=None)
    stacked = jax.tree.map(lambda leaf: np.stack([np.asarray(leaf)] * COUNT), begun)
    learner = training.learner(trainable, training.cross_entropy, optimizer)
    fit = training.population(trainable, learner, examples(40), epochs=2, batch=20, layout="abreast", mesh=mesh)
    return found | flat("transfer params", fit(key(), stacked).members.params)


def flat(name: str, tree) -> dict[str, np.ndarray]:
    """Returns the arrays of a tree by name and place."""
    return {f"{name} {index}": np.asarray(leaf) for index, leaf in enumerate(jax.tree.leaves(tree))}


def searched(mesh: jax.sharding.Mesh, folder: pathlib.Path, kill: int | None) -> dict[str, np.ndarray]:
    """Returns the population at the end of a search; in the generation to be killed in, process 1 kills itself."""
    space = sparse("weight", 1)
    evaluate = evaluation.population(space, examples(40), [-evaluation.nll], batch=20, mesh=mesh)

    def callback(entry, state):
        del state
        if entry["generation"] == kill and jax.process_index() == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    result = jaxevo.run(
        key(), search.truncation(space, 4), evaluate, 4, checkpoint=folder, progress=False, callback=callback
    )  # fmt: skip
    return flat("search", (result.population.genomes, result.population.fitness))


def main() -> None:
    """Reads the command line and works."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--process", type=int)
    parser.add_argument("--port", type=int)
    parser.add_argument("--search", type=pathlib.Path, help="search alone, with checkpoints in this folder")
    parser.add_argument("--kill", type=int, help="generation after which process 1 kills itself")
    options = parser.parse_args()
    if options.process is not None:
        jax.distributed.initialize(f"127.0.0.1:{options.port}", 2, options.process)
    mesh = evaluation.mesh(data=2 if jax.device_count() > 1 else 1)
    print(hosts.describe(mesh), flush=True)
    if options.search:
        found = searched(mesh, options.search, options.kill)
    else:
        found = scores(mesh) | trained(mesh) | searched(mesh, options.out.with_suffix(""), None)
        found |= {f"children {chunk}": children(mesh, chunk) for chunk in (1, 3)}
        if jax.process_count() == 1:
            found["sent"] = sent(mesh)
        try:
            hosts.agree("work", seed=7, batch=16 + jax.process_index())
        except ValueError as error:
            print(f"refused: {error}", flush=True)
    if hosts.leads():
        np.savez(options.out, **found)
    hosts.wait("end")


if __name__ == "__main__":
    main()
