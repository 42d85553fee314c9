"""How a run shows where it is: a live bar on a terminal, a line every ten seconds anywhere else."""

import time
import types
from typing import Any, Self

import rich.console
import rich.progress

#: Seconds between two lines where there is no terminal.
INTERVAL = 10.0


class Shown:
    """A bar with a text on a terminal, else a line every ten seconds, on standard error; use it as a context manager.

    Args:
      unit: what is counted.
      total: how many there are in the whole run.
      done: how many of them were done before.
      visible: False to show nothing.
    """

    def __init__(self, unit: str, total: int, done: int, visible: bool = True):
        self.unit, self.total, self.done, self.before, self.visible = unit, total, done, done, visible
        self.console = rich.console.Console(stderr=True)
        self.started = self.told = time.monotonic()
        self.text, self.bar = "", None

    def __enter__(self) -> Self:
        """Starts the clock and, on a terminal, the bar."""
        self.started = self.told = time.monotonic()
        if self.visible and self.console.is_terminal:
            self.bar = rich.progress.Progress(
                rich.progress.TextColumn("{task.description}"),
                rich.progress.BarColumn(),
                rich.progress.MofNCompleteColumn(),
                rich.progress.TextColumn("{task.fields[text]}"),
                console=self.console,
            )
            self.task = self.bar.add_task(self.unit, total=self.total, completed=self.done, text="")
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: types.TracebackType | None
    ) -> None:
        """Stops the bar, or says the last line."""
        if self.bar is not None:
            self.bar.stop()
        elif self.visible and self.text and error is None:
            self._say()

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return max(time.monotonic() - self.started, 1e-9)

    @property
    def left(self) -> str:
        """How long it will go on at the pace so far."""
        return clock(self.seconds / max(self.done - self.before, 1) * (self.total - self.done))

    def say(self, text: str) -> None:
        """Shows a text where the count stands."""
        self.text = text
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done, text=text)
        elif self.visible and time.monotonic() - self.told >= INTERVAL:
            self.told = time.monotonic()
            self._say()

    def _say(self) -> None:
        self.console.print(f"{self.unit} {self.done}/{self.total}: {self.text}", highlight=False, soft_wrap=True)


class Progress(Shown):
    """Shows generations, evaluations per second and the time left.

    Args:
      total: number of generations of the whole run.
      done: how many of them were restored.
      visible: False to show nothing.
    """

    def __init__(self, total: int, done: int, visible: bool):
        super().__init__("generation", total, done, visible)
        self.evaluations = 0

    def update(self, evaluated: int, best: dict[str, Any]) -> None:
        """Counts one more generation.

        Args:
          evaluated: how many genomes it evaluated.
          best: the best value of each objective so far.
        """
        self.done, self.evaluations = self.done + 1, self.evaluations + evaluated
        values = ", ".join(f"{name} {value:.5g}" for name, value in best.items() if value is not None)
        self.say(f"{self.evaluations / self.seconds:.3g} evaluations/s, {self.left} left, best: {values}")


def clock(seconds: float) -> str:
    """Returns a duration as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
