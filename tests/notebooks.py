"""Runs every notebook from top to bottom, each in a kernel and a folder of its own: `python -m tests.notebooks`.

A notebook fails where a cell raises, where it shows no picture, or where it takes longer than the limit. Needs nbclient
and ipykernel (extra `dev`); nothing that the notebooks show is written back. Like the tests, notebooks compile much and
run little: programs are compiled as quickly as it goes unless `XLA_FLAGS` says otherwise, and what several need is
compiled once.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from tests.flags import quickly

FOLDER = pathlib.Path(__file__).parents[1] / "colab"


def paths() -> list[pathlib.Path]:
    """Returns the notebooks, in the order of their names."""
    return sorted(FOLDER.glob("*.ipynb"))


def read(path: pathlib.Path) -> dict[str, Any]:
    """Returns a notebook as its file has it."""
    return json.loads(path.read_text(encoding="utf-8"))


def code(notebook: dict[str, Any]) -> list[str]:
    """Returns the text of each code cell."""
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run(path: pathlib.Path, limit: float) -> tuple[float, str | None]:
    """Runs one notebook.

    Args:
      path: the notebook.
      limit: seconds that it may take in all; a cell that is still running then is interrupted.

    Returns:
      The seconds that it took, the start of its kernel included, and what went wrong, None where nothing did.
    """
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    started = time.monotonic()

    def left(cell: Any) -> float:
        del cell
        return max(1.0, limit - (time.monotonic() - started))

    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        client = nbclient.NotebookClient(
            notebook, timeout_func=left, kernel_name="python3", resources=resources, allow_errors=False
        )
        wrong = None
        try:
            client.execute()
        except nbclient.exceptions.CellTimeoutError:
            wrong = f"still ran after the limit of {limit:.0f} s"
        except nbclient.exceptions.CellExecutionError as error:
            wrong = str(error)
    seconds = time.monotonic() - started
    if wrong is None and seconds > limit:
        wrong = f"took longer than the limit of {limit:.0f} s"
    if wrong is None and not any(map(_pictured, notebook.cells)):
        wrong = "shows no picture"
    return seconds, wrong


def _pictured(cell: Any) -> bool:
    """Says whether a cell shows a picture, or a page with one."""
    shown = [output.get("data", {}) for output in cell.get("outputs", [])]
    return any("image/png" in data or "<iframe" in data.get("text/html", "") for data in shown)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs notebooks and prints what each took; returns 1 where one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.notebooks", description=__doc__)
    parser.add_argument("names", nargs="*", help="names of notebooks, such as stitching; by default all")
    parser.add_argument("--limit", type=float, default=40.0, help="seconds for each (default 40)")
    options = parser.parse_args(arguments)
    found = {path.stem: path for path in paths()}
    unknown = sorted(set(options.names) - set(found))
    if unknown or not found:
        parser.error(f"there is no notebook {', '.join(unknown) or 'at all'}; there are {', '.join(found)}")
    os.environ["XLA_FLAGS"] = quickly(os.environ.get("XLA_FLAGS", ""))
    failed = 0
    with tempfile.TemporaryDirectory() as cache:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", cache)
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.02")
        for name in options.names or found:
            seconds, wrong = run(found[name], options.limit)
            print(f"{name:12} {seconds:5.1f} s  {'ok' if wrong is None else wrong}", flush=True)
            failed += wrong is not None
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
