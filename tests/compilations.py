"""Which programs are compiled while something runs."""

import contextlib
import logging
import re
from collections.abc import Iterator

import jax


class _Collector(logging.Handler):
    def __init__(self):
        super().__init__()
        self.names: list[str] = []

    def emit(self, record):
        found = re.match(r"Finished XLA compilation of (\S+)", record.getMessage())
        self.names += [found.group(1)] if found else []


@contextlib.contextmanager
def count_compilations() -> Iterator[list[str]]:
    """Lists the names of the programs that are compiled inside the context."""
    collector, logger = _Collector(), logging.getLogger("jax")
    # JAX's own handler would print every one of them.
    handlers, logger.handlers, propagate = logger.handlers, [collector], logger.propagate
    logger.propagate = False
    # Not `jax.log_compiles`, which is for the thread that asks alone.
    before = jax.config.jax_log_compiles
    jax.config.update("jax_log_compiles", True)
    try:
        yield collector.names
    finally:
        jax.config.update("jax_log_compiles", before)
        logger.handlers, logger.propagate = handlers, propagate
