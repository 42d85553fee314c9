"""Scores a network on every picture of a split, streamed from disk: top-1, top-5, NLL in nats, and ECE.

    python -m experiments.imagenet.evaluate --network torch:timm/resnet50 --data tfds:imagenet2012 [--mesh 1xDATA]

Pictures are read, decoded and prepared beside the network's work, and put on the devices one batch ahead; where the
network runs on the same processors, in the time that it leaves. Every picture counts once, whatever the batch size. At
the end it says how many pictures per second it scored, how many the network alone scores when its batches lie ready on
the devices (measured before and after), and the ratio of the two. The folder of results holds log.jsonl, event files of
TensorBoard, result.json, and sums from which `--resume` goes on.
"""

import argparse
import dataclasses
import itertools
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.folder import RunFolder
from experiments.imagenet.log import Log, Progress
from experiments.imagenet.networks import Taken, take
from experiments.imagenet.options import join, mesh_of, opened, parse
from experiments.imagenet.reading import Pictures, read
from experiments.imagenet.scoring import NAMES, Scorer
from experiments.options import at_least_1
from experiments.report import table, versions, write_json
from jaxevo import checkpoint, data, hosts, stopping
from jaxevo.data import Batch

PyTree = Any

#: Batches on which the network alone is timed, before and after.
ALONE = 8


class Speed(NamedTuple):
    """How fast a run was.

    images: pictures that it scored.
    first_batch: seconds until the first batch had been read, workers started; they do not count in the next.
    seconds: from then until the last one was scored.
    alone: seconds that the network takes for as many batches that lie ready on the devices.
    """

    images: int
    first_batch: float
    seconds: float
    alone: float

    def entry(self) -> dict[str, float]:
        """Returns it as `result.json` holds it."""
        return {
            **self._asdict(),
            "images_per_second": self.images / self.seconds,
            "alone_images_per_second": self.images / self.alone,
            "ratio": self.alone / self.seconds,
        }


def main(arguments: list[str] | None = None) -> None:
    """Runs the program."""
    options = parse("evaluate", __doc__ or "", arguments, _own)
    if len(options.network) > 1:
        raise SystemExit("--network is there twice, but evaluate scores one; start it once for each")
    join(options)
    mesh = mesh_of(options.mesh, members=False)
    pictures = read(options, options.split, "test")
    taken = take(options.network[0], options, pictures.classes)
    devices = mesh.shape["data"]
    if options.batch % devices:
        raise SystemExit(f"--batch is {options.batch}, expected a multiple of {devices}, the devices that share it")
    with opened(options, _identity(options, pictures, taken)) as folder:
        known = folder.path / "result.json"
        if known.exists():
            print(f"{known} is there already; nothing is left to do")
            return
        scorer = Scorer(taken.network, mesh, options.batch, accelerate=options.accelerate)
        result = run(scorer, pictures, taken, options, folder)
        if hosts.leads():
            write_json(known, result)
            _print(result, folder)


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--split", metavar="NAME", help="train, valid, test or the set's own name, for tfds also a slice such as "
        "'validation[:1000]' (default: the one that results are reported on)"
    )  # fmt: skip
    parser.add_argument(
        "--every", metavar="N", type=at_least_1, default=50, help="batches between two checkpoints (default: 50)"
    )
    parser.add_argument("--no-accelerate", dest="accelerate", action="store_false", help="run the network as it came")


def _identity(options: argparse.Namespace, pictures: Pictures, taken: Taken) -> dict[str, Any]:
    """Returns what makes a run this run."""
    return {
        "network": options.network[0],
        "parameters": checkpoint.digest(taken.network.params),
        "data": pictures.name,
        "data_fingerprint": pictures.fingerprint,
        "recipe": dataclasses.asdict(taken.recipe),
        "batch": options.batch,
        "every": options.every,
        "accelerate": options.accelerate,
    }


def run(
    scorer: Scorer, pictures: Pictures, taken: Taken, options: argparse.Namespace, folder: RunFolder
) -> dict[str, Any]:
    """Scores what is left of the pictures.

    Args:
      scorer: the network.
      pictures: all of them.
      taken: the network's recipe.
      options: workers, threads and every.
      folder: of the run.

    Returns:
      What `result.json` holds.
    """
    total = len(pictures.examples)
    steps = -(-total // scorer.batch)
    # Sums over segments are added in double precision, and never reach the end of what an int32 counts.
    sums = jax.tree.map(lambda leaf: np.zeros(leaf.shape, _wide(leaf.dtype)), jax.eval_shape(scorer.tally.init))
    speed = None
    with Log(folder.path) as log, checkpoint.Folder(folder.path / "sums") as saved:
        found = saved.restore(sums)
        done, sums = (0, sums) if found is None else (found.step, found.tree)
        if done < steps:
            speed, sums = _walked(scorer, pictures, taken, options, log, saved, done, sums)
        scores = scorer.finish(sums)
        log.write("end", total, **scores, **({} if speed is None else speed.entry()))
    return {
        "experiment": "imagenet.evaluate",
        "network": options.network[0],
        "data": pictures.name,
        "images": total,
        "recipe": dataclasses.asdict(taken.recipe),
        "batch": scorer.batch,
        "mesh": dict(scorer.mesh.shape),
        "processes": jax.process_count(),
        "workers": options.workers,
        "threads": options.threads,
        "scores": scores,
        "speed": None if speed is None else speed.entry(),
        "versions": versions(),
    }


def _walked(scorer, pictures, taken, options, log: Log, saved: checkpoint.Folder, done: int, sums: PyTree):
    """Walks over the batches that are left, in segments with a checkpoint after each."""
    total, batch = len(pictures.examples), scorer.batch
    steps, began = -(-total // batch), done
    ready = scorer.ready()
    # Everything that has to be compiled is, before a clock runs.
    scorer.finish(jax.tree.map(np.asarray, scorer.run([ready, ready])))
    timed = min(steps - began, ALONE)
    alone = _seconds(scorer, ready, timed)
    recipe = taken.recipe if isinstance(pictures.examples, data.Source) else None
    start = time.perf_counter()
    host = data.stream(
        pictures.examples, recipe, batch, rows=data.rows_of_process(scorer.mesh, batch), start=began,
        workers=options.workers, threads=options.threads,
    )  # fmt: skip
    first = next(host)
    placed = data.prefetched(itertools.chain([first], host), scorer.mesh, batch, recipe=recipe)
    clock = time.perf_counter()
    with Progress(total, began * batch) as shown:
        batches = _counted(placed, shown, log, batch, total)
        while True:
            count = min(options.every, steps - done)
            with jax.transfer_guard("disallow"):
                state = scorer.run(itertools.islice(batches, count))
            seconds, done = time.perf_counter() - clock, done + count
            sums = jax.tree.map(lambda old, new: old + np.asarray(new), sums, state)
            saved.save(done, sums)
            scored = min(done * batch, total)
            log.found = scorer.finish(sums)
            log.write("scored", scored, **log.found, images_per_second=(scored - began * batch) / seconds)
            if done == steps:
                break
    alone = (alone + _seconds(scorer, ready, timed)) / 2 * (steps - began) / timed
    return Speed(total - began * batch, clock - start, seconds, alone), sums


def _counted(batches: Iterable[Batch], shown: Progress, log: Log, batch: int, total: int) -> Iterator[Batch]:
    """Shows batches as they go into work; a signal ends the run here, and the segment under way is done again."""
    for one in batches:
        yield one
        stopping.here()
        found = f"top-1 {log.found['top_1']:.2%}" if log.found else ""
        shown.update(min(batch, total - shown.done), found)


def _seconds(scorer: Scorer, ready: Batch, count: int) -> float:
    start = time.perf_counter()
    scorer.run(itertools.repeat(ready, count))
    return time.perf_counter() - start


def _wide(dtype: Any) -> Any:
    return np.int64 if np.issubdtype(dtype, np.integer) else np.float64


def _print(result: dict[str, Any], folder: RunFolder) -> None:
    scores, speed = result["scores"], result["speed"]
    shown = [f"{scores['top_1']:.3%}", f"{scores['top_5']:.3%}", f"{scores['nll']:.4f}", f"{scores['ece']:.4f}"]
    table(
        f"{result['network']} on {result['images']:,} pictures of {result['data']}",
        ("", *(name.replace("_", "-") for name in NAMES)), [("scores", *shown)],
    )  # fmt: skip
    if speed is not None:
        print(
            f"{speed['images_per_second']:.1f} images per second, {speed['first_batch']:.1f} s after the start of the "
            f"pipeline; the network alone on ready arrays {speed['alone_images_per_second']:.1f}; "
            f"ratio {speed['ratio']:.3f}"
        )
    print(f"results are in {folder.path}")


if __name__ == "__main__":
    main()
