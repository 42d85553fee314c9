"""How functions among the settings of a run are known, of which a checkpoint can hold no bits."""

from typing import Any


def known_as(function: Any) -> str:
    """Returns the name by which a run that is continued knows a function, the same in every process.

    Args:
      function: one that has a `name` holding its settings, or any other, which is known by the name that its definition
        gives it, and by nothing that it closes over.
    """
    return str(getattr(function, "name", getattr(function, "__qualname__", type(function).__qualname__)))
