"""Libraries that only some doors need, imported when one of these is used."""

import importlib
from typing import Any


def library(where: str, module: str, package: str, install: str | None = None) -> Any:
    """Imports a library that jaxevo itself does without.

    Args:
      where: what needs it, the start of the message.
      module: what is imported.
      package: what the library is called.
      install: what pip installs, by default the package.

    Raises:
      ImportError: where it is missing, with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{where}: needs {package}, which is not installed; pip install {install or package}"
        ) from error
