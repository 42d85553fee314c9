"""JAX's persistent cache of compiled programs, for runs that need many and may be cut."""

import contextlib
import pathlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def kept(path: pathlib.Path) -> Iterator[None]:
    """Keeps every program that is compiled inside the context in a folder, and takes those that lie there.

    Args:
      path: the folder; it may be deleted at any time, and only the same machine can use what is in it.
    """
    settings = {
        "jax_compilation_cache_dir": str(path.absolute()),
        "jax_persistent_cache_min_compile_time_secs": 0.5,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    try:
        for name, value in settings.items():
            jax.config.update(name, value)
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
