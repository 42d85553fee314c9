"""What a run says while it goes: JSON lines, event files of TensorBoard, and a line or a bar on the terminal."""

import json
import math
import pathlib
import time
import types
from collections.abc import Callable
from typing import Any

from jaxevo import hosts
from jaxevo.data.recipes import INSTALL
from jaxevo.libraries import library
from jaxevo.search.progress import Shown


class Log:
    """Writes what happens, as it happens; process 0 of several writes, the others do nothing.

    `log.jsonl` holds an object in each line, whole up to the last line that was written: a line that a crash cut off is
    cut away when the run goes on. The folder `tensorboard` holds the same numbers. Use it as a context manager.

    Args:
      path: folder of the run.
    """

    def __init__(self, path: pathlib.Path):
        self.path, self.writes = path / "log.jsonl", hosts.leads()
        self._place, self._file, self._events = path / "tensorboard", None, None
        self.found: dict[str, float] = {}

    def __enter__(self) -> "Log":
        """Opens the files.

        Raises:
          SystemExit: where tensorboardX is missing.
        """
        if self.writes:
            try:
                writer = library("Log", "tensorboardX", "tensorboardX", INSTALL)
            except ImportError as error:
                raise SystemExit(str(error)) from None
            whole = b"".join(line for line in self._lines() if line.endswith(b"\n"))
            if self.path.exists() and len(whole) < self.path.stat().st_size:
                self.path.write_bytes(whole)
            self._file = self.path.open("a")
            self._events = writer.SummaryWriter(str(self._place))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: types.TracebackType | None
    ) -> None:
        """Closes the files."""
        if self._file is not None and self._events is not None:
            self._file.close()
            self._events.close()

    def _lines(self) -> list[bytes]:
        return self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []

    def write(self, event: str, step: int, **values: Any) -> None:
        """Writes one line.

        Args:
          event: what happened.
          step: where the run is, the axis of TensorBoard's pictures.
          **values: as JSON can hold them; finite numbers are drawn.
        """
        if self._file is None or self._events is None:
            return
        numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
        broken = {name: None for name, value in numbers.items() if not math.isfinite(value)}
        line = {"event": event, "step": step, "time": round(time.time(), 3), **values, **broken}
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._file.flush()
        for name, value in numbers.items():
            if name not in broken:
                self._events.add_scalar(f"{event}/{name}", value, step)
        self._events.flush()

    def generation(self, name: str) -> Callable[[dict[str, Any], Any], None]:
        """Returns a callback of `search.run` that writes a line for each generation of the search of that name."""

        def callback(entry: dict[str, Any], state: Any) -> None:
            del state
            best = {f"best {objective}": value for objective, value in entry["best"].items()}
            counts = {key: entry[key] for key in ("evaluations", "front")}
            self.write(name, entry["generation"], **counts, **best)

        return callback

    def epoch(self, name: str) -> Callable[[int, dict[str, Any]], None]:
        """Returns what writes a line for each epoch of the training of that name."""

        def say(epoch: int, metrics: dict[str, Any]) -> None:
            self.write(name, epoch + 1, **{key: float(value) for key, value in metrics.items() if key != "epoch"})

        return say


class Progress(Shown):
    """Shows pictures, pictures per second and the time left, in process 0 of several.

    Args:
      total: pictures of the whole run.
      done: how many of them were done before.
    """

    def __init__(self, total: int, done: int):
        super().__init__("pictures", total, done, hosts.leads())

    def update(self, count: int, found: str) -> None:
        """Counts pictures.

        Args:
          count: how many more are done.
          found: what is known so far.
        """
        self.done += count
        rate = (self.done - self.before) / self.seconds
        self.say(f"{rate:.1f} images/s, {self.left} left{found and ', '}{found}")
