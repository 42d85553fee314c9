"""What all pictures share: colours, styles, and Axes that need no display."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

#: A `matplotlib.axes.Axes`; matplotlib is imported only where something is drawn.
Axes = Any

#: Colours that stay apart for readers who see red and green alike (Okabe and Ito, "Color universal design", 2008).
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, FAINT, PAPER, STITCH = "#222222", "#C9CDD2", "#FFFFFF", "#D1006C"


@dataclasses.dataclass(frozen=True)
class Style:
    """How one named set of points looks.

    color: any matplotlib colour.
    marker: any matplotlib marker.
    size: width of a marker in points.
    line: "step" joins points by the edge of what they dominate, "path" in their order, None not at all.
    filled: whether markers are filled.
    alpha: opacity of the markers, in (0, 1].
    """

    color: str
    marker: str = "o"
    size: float = 6.0
    line: Literal["step", "path"] | None = None
    filled: bool = True
    alpha: float = 1.0


#: How the sets of points that experiments share look wherever they appear.
STYLES = {
    "parents": Style(INK, "s", 9.0),
    "ensembles": Style("#E69F00", "D", 7.5),
    "random search": Style("#8C96A0", "o", 11.0, line="step", filled=False),
    "evolved front": Style("#0072B2", "o", 6.5, line="step"),
}


def canvas(width: float = 7.0, height: float = 4.5) -> Axes:
    """Returns the Axes of a new figure of that size in inches.

    Raises:
      ValueError: where width or height is no number above 0.
      ImportError: where matplotlib is not installed.
    """
    for name, value in (("width", width), ("height", height)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise ValueError(f"canvas: {name} is {value!r}, expected inches above 0")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('plots need matplotlib; install it with pip install "jaxevo[plots]"') from error
    return Figure(figsize=(width, height), dpi=160, layout="constrained").add_subplot()


def check_axes(where: str, axes: Any) -> None:
    """Raises TypeError, starting with `where`, unless the argument `axes` is matplotlib Axes."""
    if not hasattr(axes, "plot") or not hasattr(axes, "figure"):
        raise TypeError(f"{where}: axes is {axes!r}, expected matplotlib Axes; make them with plots.canvas()")


def check_names(where: str, name: str, value: Any, holds: str) -> None:
    """Raises TypeError, starting with `where`, unless the argument `name` is a dictionary; `holds` says of what."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{where}: {name} is {value!r}, expected a dictionary of {holds} by name")
