"""JAX's persistent cache of compiled programs, for runs that need many and may be cut."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache


@contextlib.contextmanager
def kept(path: pathlib.Path, least: float = 0.5) -> Iterator[None]:
    """Keeps every program that is compiled inside the context in a folder, and takes those that lie there.

    Args:
      path: the folder; it may be deleted at any time, and only the same machine can use what is in it.
      least: seconds that a program takes to be compiled for it to be worth a file.
    """
    settings = {
        "jax_compilation_cache_dir": str(path.absolute()),
        "jax_persistent_cache_min_compile_time_secs": least,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    try:
        _change(settings)
        yield
    finally:
        _change(before)


def _change(settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        jax.config.update(name, value)
    # What JAX holds of the cache it has used before would go on in the old folder.
    compilation_cache.reset_cache()
