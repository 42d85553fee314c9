"""What experiments leave behind: tables on the terminal, `result.json`, and the versions that made them."""

import importlib.metadata
import json
import math
import os
import pathlib
import platform
from collections.abc import Sequence
from typing import Any

import jax
import rich.console
import rich.table


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Prints a table; the first column is text, the others are numbers."""
    shown = rich.table.Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        shown.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        shown.add_row(*(str(cell) for cell in row))
    rich.console.Console(width=None if os.isatty(1) else 140).print(shown)


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes JSON, all or nothing; NaN and infinity, which JSON does not know, become null."""
    text = json.dumps(_finite(content), indent=1, allow_nan=False) + "\n"
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text)
    part.replace(path)


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def versions() -> dict[str, str]:
    """Returns the versions of what results depend on, and the machine."""
    packages = ("jaxevo", "jax", "jaxlib", "flax", "optax", "numpy", "scipy", "moocore", "orbax-checkpoint")
    device = jax.devices()[0]
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
        "device": f"{len(jax.devices())} x {device.platform} {device.device_kind}",
        "cores": str(os.cpu_count()),
    }
