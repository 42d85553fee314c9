"""What training took: programs, and the time that compiling them took, as JAX tells it."""

import functools
from collections.abc import Hashable, Iterable

import jax

#: What JAX calls the time that it takes to make a program.
_EVENT = "/jax/core/compile/backend_compile_duration"


class Work:
    """What training took so far.

    looks: what tells programs apart.
    compiled: seconds that compiling took, of threads added up.
    trained: seconds by the clock.
    """

    def __init__(self):
        self.looks: set[Hashable] = set()
        self.compiled = self.trained = 0.0

    def note(self, looks: Iterable[Hashable], compiled: float, trained: float) -> None:
        """Adds one training."""
        self.looks.update(looks)
        self.compiled += compiled
        self.trained += trained


class _Clock:
    """Adds up what was compiled in this process since it was made."""

    def __init__(self):
        self.seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        del kwargs
        if event == _EVENT:
            self.seconds += duration_secs


@functools.cache
def _clock() -> _Clock:
    return _Clock()


def seconds() -> float:
    """Returns the seconds that compiling took since this was asked first, added up over threads."""
    return _clock().seconds
