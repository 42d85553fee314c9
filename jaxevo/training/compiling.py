"""How much was compiled, as JAX tells it."""

import functools

import jax

#: What JAX calls the time that it takes to make a program.
_EVENT = "/jax/core/compile/backend_compile_duration"


class _Clock:
    """Adds up what was compiled in this process since it was made."""

    def __init__(self):
        self.seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, duration: float, **_: object) -> None:
        if event == _EVENT:
            self.seconds += duration


@functools.cache
def _clock() -> _Clock:
    return _Clock()


def seconds() -> float:
    """Returns the seconds that compiling took since this was asked first, added up over threads."""
    return _clock().seconds
