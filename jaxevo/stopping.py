"""SIGTERM and SIGINT that wait for the end of a step, so that a run which is told to stop has saved what it did.

Within `after_steps` a first signal is noted and told, at once and even while a compiled program runs. `here`, called
where a step has ended and is saved, then ends the process with exit code 128 + signal. A second signal ends it at once.
"""

import contextlib
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator

import jax

#: What asks a run to stop.
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(SystemExit):
    """A run that ended early because a signal asked for it; the exit code is 128 + the signal's number.

    signal: which one.
    """

    def __init__(self, asked: signal.Signals):
        super().__init__(128 + asked)
        self.signal = asked


class _Watch:
    """Listens for signals while it is entered."""

    def __init__(self):
        self.asked: signal.Signals | None = None
        self._told = False

    def __enter__(self) -> "_Watch":
        """Takes the signals over, but for those that this process was started to ignore."""
        taken = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._note) for number in taken}
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        # Python calls handlers between two of its own instructions, never while a compiled program runs. This
        # descriptor gets the number of a signal when it comes.
        self._other = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._listen, name="signals", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: types.TracebackType | None
    ) -> None:
        """Gives them back."""
        signal.set_wakeup_fd(self._other)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.write(self._writer, b"\0")
        self._thread.join()
        os.close(self._reader)
        os.close(self._writer)

    def _note(self, number: int, frame: types.FrameType | None) -> None:
        del frame
        self.asked = self.asked or signal.Signals(number)

    def _listen(self) -> None:
        while number := os.read(self._reader, 1)[0]:
            if number not in self._before:
                continue
            if self._told:
                os._exit(128 + number)
            self._told = True
            self._note(number, None)
            name = signal.Signals(number).name
            print(
                f"{name}: stops as soon as the step under way has ended and is saved; a second signal stops at once",
                file=sys.stderr, flush=True,
            )  # fmt: skip


_watch: _Watch | None = None


@contextlib.contextmanager
def after_steps(onward: str) -> Iterator[None]:
    """Within it SIGTERM and SIGINT wait for `here`; a signal that nothing has honoured ends the process on leaving.

    Nothing changes where it is entered once more, in threads other than the main one, which gets no signals, and where
    several processes run together, of which the others would wait for the one that stopped.

    Args:
      onward: how to go on, for the message with which a stopped run ends.

    Raises:
      Stopped: where a signal came.
    """
    global _watch
    if _watch is not None or threading.current_thread() is not threading.main_thread() or jax.process_count() > 1:
        yield
        return
    _watch = _Watch()
    try:
        with _watch:
            yield
            here()
    except Stopped as stopped:
        print(f"{stopped.signal.name}: stopped, and all that had ended is saved; {onward}", file=sys.stderr)
        raise
    finally:
        _watch = None


def asked() -> bool:
    """Returns whether a signal has asked this run to stop."""
    return _watch is not None and _watch.asked is not None


def here() -> None:
    """Ends the run where a signal has asked for it; for places where a step has ended and is saved.

    Raises:
      Stopped: where one has.
    """
    if _watch is not None and _watch.asked is not None:
        raise Stopped(_watch.asked)
