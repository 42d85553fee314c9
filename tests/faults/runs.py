"""Five small runs, one of each system: `python -m tests.faults.runs NAME DIR [--resume]`.

Each takes seconds, saves all the while, and leaves `end.npz` and `end.json`, everything that it ended with.
"""

import argparse
import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

import experiments.pruning.pipeline as pruning
import experiments.stitching.pipeline as stitching
import experiments.subspace.pipeline as subspace
import jaxevo
from experiments import zoo
from experiments.folder import RunFolder, claim
from experiments.parents import Parent, parent
from experiments.pruning import presets as pruning_presets
from experiments.pruning.starting import task_of
from experiments.report import write_json
from experiments.subspace import presets as subspace_presets
from jaxevo import checkpoint, data, evaluation, search, stopping, training, transfer
from jaxevo.data import Dataset, Split
from jaxevo.network import Member, spec
from tests.experiments import tiny
from tests.faults import ends
from tests.pbt import runs as populations

SEED = 1

#: Arrays, and whatever else JSON can hold.
End = tuple[Any, Any]

_STITCHING = dataclasses.replace(
    tiny.SETTINGS, votes=(0.5,), tuning=None, rivals=(), generations=6, retraining=None, export=False
)

_SUBSPACE = dataclasses.replace(
    subspace_presets.PRESETS["quick"],
    parent=Parent("vgg", {"widths": (8,), "depths": (1,)}, epochs=3, rate=1e-2),
    batch=100,
    window=subspace_presets.Window((1, 16), (0.01, 1.0), children=4, examples=100),
    generation=subspace_presets.Generation(
        16, "weight", (0.05, 0.2), pilot=4, children=8, antithetic=True, members=4, best=2
    ),
    evolution=subspace_presets.Evolution(population=4, elite=2, generations=4, terms=2, examples=100),
)

_PRUNING = dataclasses.replace(
    pruning_presets.PRESETS["quick"],
    data="digits",
    held_out=4,
    other="digits",
    backbone=pruning_presets.Trained(
        Parent("vgg", {"widths": (12,), "depths": (1,)}, epochs=2, rate=1e-2), "photos:size=8,per_class=6", 24
    ),
    size=8,
    hidden=(70,),
    training=pruning_presets.Training(rate=0.05, momentum=0.9, batch=100, epochs=3, patience=1),
    search=pruning_presets.Search(population=4, offspring=2, evaluations=24),
    references=2,
    bins=2,
)

#: Sources of the ranking, by their widths; the target has those of none of them.
_SOURCES = {"narrow": (4, 4), "wide": (8, 12)}
_EPOCHS = 12


def _stitching(folder: RunFolder) -> End:
    outcome = stitching.run(_STITCHING, data.load(_STITCHING.data), SEED, folder)
    return tiny.found(outcome), tiny.numbers(outcome)


def _sparse(folder: RunFolder) -> End:
    outcome = subspace.run(_SUBSPACE, data.load(_SUBSPACE.data), SEED, folder)
    generations, evolved = outcome.generations, outcome.evolved
    trees = {kind: (found.genomes, found.recombined) for kind, found in generations.items()}
    grown = {kind: found.best.params for kind, found in evolved.items()}
    return (outcome.parent.params, trees, grown), {
        "curves": outcome.curves,
        "generations": {
            kind: (one.grid, one.sigma, one.nll, one.greedy, one.best) for kind, one in generations.items()
        },
        "evolved": {kind: (one.sigma, one.nll, one.parent_nll) for kind, one in evolved.items()},
    }


def _pruning(folder: RunFolder) -> End:
    dataset = _some(data.load("digits"), 300)
    outcome = pruning.run(_PRUNING, task_of(_PRUNING, dataset, dataset), SEED, folder)
    found = {name: _searched(result) for name, result in outcome.searches.items()}
    return (outcome.references, found), {name: result.history for name, result in outcome.searches.items()}


def _pbt(folder: RunFolder) -> End:
    result = populations.go(False, 16, checkpoint=folder.path / "search")
    return _searched(result), {"history": result.history}


def _diverging(folder: RunFolder) -> End:
    """The same, but that the parameters of two members become NaN in the third generation."""
    strategy, fit = populations.parts(False)
    evaluate = evaluation.after(fit, populations.VALID, [evaluation.accuracy])
    generation = 0

    def poisoned(key, params, members):
        nonlocal generation
        generation += 1
        if generation == 3:
            spoilt = jax.tree.map(lambda leaf: jnp.asarray(leaf).at[:2].set(jnp.nan), members.params)
            members = members._replace(params=spoilt)
        return evaluate(key, params, members)

    result = search.run(jax.random.key(5), strategy, poisoned, 6, progress=False, checkpoint=folder.path / "search")
    return _searched(result), {"history": result.history}


def _transfer(folder: RunFolder) -> End:
    dataset = _some(data.load("digits"), 400)
    place, one = folder.path / "sources", spec(dataset.train.inputs[:1])
    place.mkdir(exist_ok=True)
    keys = jax.random.split(jax.random.key(SEED), 2 + len(_SOURCES))
    with folder.phase("sources"):
        for key, (name, widths) in zip(keys[2:], _SOURCES.items(), strict=True):
            if not (place / f"{name}.onnx").exists():
                asked = Parent("vgg", {"widths": widths, "depths": (1, 1), "normalise": False}, epochs=2, rate=1e-2)
                source = parent(key, asked, dataset, 50, folder.path / "trained" / name)
                jaxevo.to_onnx(source, place / f"{name}.onnx")
            stopping.here()
    target = zoo.build("vgg", one, dataset.classes, widths=(6, 10), depths=(1, 1), normalise=False)
    with folder.phase("ranking"):
        ranking = transfer.rank([jaxevo.from_onnx(file) for file in sorted(place.iterdir())], target)
        ranked = [(found.network.name, found.similarity, found.coverage) for found in ranking]
        write_json(folder.path / "ranking.json", ranked)
    with folder.phase("training"):
        params, state = target.init(keys[0])
        filled = transfer.copy_weights(
            ranking[0].alignment, ranking[0].network.params, {"params": params, "state": state}
        )
        optimizer = optax.adam(3e-3)
        member = Member(None, filled["params"], filled["state"], optimizer.init(filled["params"]))
        with checkpoint.Folder(folder.path / "student") as saved:
            found = saved.restore(member)
            member, epoch = (member, 0) if found is None else (found.tree, found.step)

            def callback(epoch, member, metrics):
                saved.save(epoch + 1, member)
                stopping.here()

            member, _ = training.fit(
                keys[1], member, training.supervised(target, training.cross_entropy, optimizer), dataset.train,
                epochs=_EPOCHS, start_epoch=epoch, batch=50, callback=callback,
            )  # fmt: skip
    return member, {"ranking": ranked}


def _searched(result: search.Result) -> Any:
    return result.state, result.population, result.front, result.best


def _some(dataset: Dataset, count: int) -> Dataset:
    def part(split: Split, count: int) -> Split:
        return Split(split.inputs[:count], split.labels[:count])

    return dataclasses.replace(
        dataset, train=part(dataset.train, count), valid=part(dataset.valid, 120), test=part(dataset.test, 120)
    )


#: What the campaign kills.
RUNS: dict[str, Callable[[RunFolder], End]] = {
    "stitching": _stitching,
    "sparse": _sparse,
    "pruning": _pruning,
    "pbt": _pbt,
    "transfer": _transfer,
}

#: What it only looks at.
OTHERS = {"diverging": _diverging}


def go(name: str, path: pathlib.Path, resume: bool = True) -> None:
    """Runs one of them into a folder, or continues it, and writes down what it ended with."""
    with claim(path, {"run": name, "seed": SEED}, resume) as folder:
        ends.write(path, *(RUNS | OTHERS)[name](folder))


def main() -> None:
    """Reads the command line and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*RUNS, *OTHERS])
    parser.add_argument("path", type=pathlib.Path)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    go(options.name, options.path, options.resume)


if __name__ == "__main__":
    main()
