"""`stream`: batches of pictures that are read, decoded and prepared, by Grain beside the work on the devices.

N is the number of examples, B the batch size, L the number of its rows that this process reads.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jaxevo.data.batching import Batch
from jaxevo.data.recipes import INSTALL, Recipe, crop
from jaxevo.data.sources import Source
from jaxevo.data.splits import Split
from jaxevo.libraries import library

#: Batches that each worker, or all threads together, hold ready.
AHEAD = 2


class _Examples:
    """The L rows of each batch, one after another, as examples; in place of those past the end, zeros."""

    def __init__(self, source: Source | Split, recipe: Recipe | None, batch: int, rows: np.ndarray, start: int):
        self.source, self.recipe, self.batch, self.rows, self.start = source, recipe, batch, rows, start
        self.batches = -(-len(source) // batch)

    def __len__(self) -> int:
        return max(0, self.batches - self.start) * len(self.rows)

    def __getitem__(self, index: int) -> Batch:
        step, place = divmod(index, len(self.rows))
        row = (self.start + step) * self.batch + self.rows[place]
        inside = row < len(self.source)
        return Batch(*(self._example(row) if inside else self._padding()), np.asarray(inside))

    def _example(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        if isinstance(self.source, Split):
            return self.source.inputs[row], self.source.labels[row]
        assert self.recipe is not None
        encoded = self.source[row]
        try:
            return crop(self.recipe, encoded.picture), np.asarray(encoded.label, np.int32)
        except ValueError as error:
            raise ValueError(f"stream: {encoded.name} cannot be read: {error}") from error

    def _padding(self) -> tuple[np.ndarray, np.ndarray]:
        if isinstance(self.source, Split):
            return np.zeros_like(self.source.inputs[0]), np.zeros_like(self.source.labels[0])
        assert self.recipe is not None
        return np.zeros((self.recipe.size, self.recipe.size, 3), np.uint8), np.zeros((), np.int32)


class _Behind:
    """Examples that threads prepare behind the work of others."""

    def __init__(self, examples: _Examples):
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Batch:
        # Never the caller's own thread, which could not come back.
        if threading.current_thread() is not threading.main_thread():
            _stand_behind()
        return self.examples[index]


def _stacked(examples: Any) -> Batch:
    return Batch(*(np.stack(part) for part in zip(*examples, strict=True)))


def stream(
    source: Source | Split,
    recipe: Recipe | None,
    batch: int,
    *,
    rows: Sequence[int] | np.ndarray | None = None,
    start: int = 0,
    workers: int = 0,
    threads: int = 1,
) -> Iterator[Batch]:
    """Walks once over a source, in order; every example comes once and every batch has the same shape.

    Which batches come does not depend on workers and threads. Close the iterator where it is not walked to its end, so
    that its workers end.

    Args:
      source: the pictures; or a `Split` of N ready examples.
      recipe: how pictures are prepared; None for a `Split`.
      batch: examples in a batch B, at least 1; the last one is padded.
      rows: int [L], which rows of each batch to read, in [0, B); by default all. Where several processes feed one
        mesh, each reads those of its own devices, see `prefetching.rows_of_process`.
      start: number of the first batch to read.
      workers: processes that prepare batches, started anew (a program that asks for some needs a guard
        `if __name__ == "__main__"`); 0 for threads of this process.
      threads: threads that prepare batches, in each of those processes. On Linux they and the workers take the time of
        processors that nobody else wants, so that a network which runs on the same ones is not held up; where other
        programs fill all processors, they take long.

    Returns:
      Iterator over batches of host arrays, `rows` of each; pictures of a source as pixels, uint8 [L, size, size, 3],
      which `prefetched` normalises on the devices, and `Recipe.normalise` wherever they are.

    Raises:
      TypeError, ValueError: where an argument is not as above; while it walks, where a picture cannot be decoded.
      ImportError: where Grain is missing.
    """
    _check(source, recipe, batch, rows, {"start": start, "workers": workers}, threads)
    own = np.arange(batch) if rows is None else np.asarray(rows)
    grain = library("stream", "grain", "grain", INSTALL)
    examples = grain.MapDataset.source(_Behind(_Examples(source, recipe, batch, own, start)))
    if not len(examples):
        return iter(())
    ready = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(threads, AHEAD))
    walked = examples.batch(len(own), batch_fn=_stacked).to_iter_dataset(ready)
    if workers:
        # Grain hands absl's flags on to its workers, and refuses where nothing has read them.
        flags = library("stream", "absl.flags", "absl-py", INSTALL)
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()
        options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=AHEAD)
        walked = walked.mp_prefetch(options, worker_init_fn=_begin)
    return iter(walked)


def _begin(worker: int, workers: int) -> None:
    """Lets a worker stand behind, all threads that it will start included."""
    del worker, workers
    _stand_behind()


def _stand_behind() -> None:
    """Makes this thread leave the processors to whatever else wants to run.

    A network on the same processors waits for its slowest part. Under Linux's idle policy a thread makes way at once;
    niceness does not do: a nice thread that runs is let finish its slice first.
    """
    if sys.platform == "linux":
        # Kernels of sandboxes (gVisor) know one policy: there all compete, which costs nothing but time.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _check(source, recipe, batch, rows, least_0: dict[str, Any], threads) -> None:
    if not isinstance(source, Source | Split):
        raise TypeError(f"stream: source is a {type(source).__name__}, expected a data.source or a data.Split")
    if isinstance(source, Source) != isinstance(recipe, Recipe):
        raise TypeError(
            f"stream: recipe is {recipe!r} for a {type(source).__name__}, expected a data.Recipe for a source and None "
            "for a split, whose examples are ready"
        )
    for name, value, least in (
        ("batch", batch, 1), ("threads", threads, 1), *((name, value, 0) for name, value in least_0.items())
    ):  # fmt: skip
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"stream: {name} is {value!r}, expected a whole number of at least {least}")
    if rows is not None and (not len(rows) or min(rows) < 0 or max(rows) >= batch):
        raise ValueError(
            f"stream: rows are {list(rows)}, expected some of 0 to {batch - 1}, rows of a batch of {batch}"
        )
