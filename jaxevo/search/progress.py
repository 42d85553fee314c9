"""How a run shows where it is: a live bar on a terminal, a line every ten seconds anywhere else."""

import time
import types
from typing import Any

import rich.console
import rich.progress

#: Seconds between two lines where there is no terminal.
INTERVAL = 10.0


class Progress:
    """Shows generations, evaluations per second and the time left, on standard error.

    Use it as a context manager.

    Args:
      total: number of generations of the whole run.
      done: how many of them were restored.
      visible: False to show nothing.
    """

    def __init__(self, total: int, done: int, visible: bool):
        self.total, self.done, self.visible = total, done, visible
        self.console = rich.console.Console(stderr=True)
        self.started = self.told = time.monotonic()
        self.restored, self.evaluations = done, 0
        self.bar = None

    def __enter__(self) -> "Progress":
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
            self.task = self.bar.add_task("generation", total=self.total, completed=self.done, text="")
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: types.TracebackType | None
    ) -> None:
        """Stops the bar, or says the last line."""
        if self.bar is not None:
            self.bar.stop()
        elif self.visible and self.evaluations and error is None:
            self._say(self.text)

    def update(self, evaluated: int, best: dict[str, Any]) -> None:
        """Counts one more generation.

        Args:
          evaluated: how many genomes it evaluated.
          best: the best value of each objective so far.
        """
        self.done, self.evaluations = self.done + 1, self.evaluations + evaluated
        seconds = time.monotonic() - self.started
        left = seconds / (self.done - self.restored) * (self.total - self.done)
        values = ", ".join(f"{name} {value:.5g}" for name, value in best.items() if value is not None)
        self.text = f"{self.evaluations / max(seconds, 1e-9):.3g} evaluations/s, {clock(left)} left, best: {values}"
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done, text=self.text)
        elif self.visible and time.monotonic() - self.told >= INTERVAL:
            self.told = time.monotonic()
            self._say(self.text)

    def _say(self, text: str) -> None:
        self.console.print(f"generation {self.done}/{self.total}: {text}", highlight=False, soft_wrap=True)


def clock(seconds: float) -> str:
    """Returns a duration as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
