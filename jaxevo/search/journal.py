"""The history of a run as a file that can be read while it grows, and after a crash."""

import json
import math
import os
import pathlib
import types
from typing import Any

#: What the file is called, beside the checkpoints.
NAME = "history.jsonl"


class Journal:
    """`history.jsonl`: one line of JSON for each generation, there as soon as the generation has ended.

    Use it as a context manager. What a run wrote after its last checkpoint, and will do again, is taken out first.

    Args:
      folder: where it lies.
      history: the entries of the checkpoint that the run goes on from.
    """

    def __init__(self, folder: pathlib.Path, history: list[dict[str, Any]]):
        self.path = folder / NAME
        part = self.path.with_name(f".{NAME}.{os.getpid()}")
        part.write_text("".join(map(_line, history)))
        part.replace(self.path)

    def __enter__(self) -> "Journal":
        """Opens the file."""
        self._file = self.path.open("a")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: types.TracebackType | None
    ) -> None:
        """Closes it."""
        self._file.close()

    def add(self, entry: dict[str, Any]) -> None:
        """Writes an entry down, so that it is there even if the process dies the next moment."""
        self._file.write(_line(entry))
        self._file.flush()


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(_finite(entry), allow_nan=False) + "\n"


def _finite(content: Any) -> Any:
    """Puts null for NaN and infinity, which JSON does not know."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
