"""Fronts of networks and their hypervolume over generations."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxevo.checks import as_numbers, check_flag
from jaxevo.plots.look import COLORS, FAINT, INK, PAPER, STYLES, Axes, Style, check_axes, check_names


def front(
    axes: Axes,
    series: Mapping[str, np.ndarray],
    x_label: str,
    y_label: str,
    *,
    styles: Mapping[str, Style] | None = None,
    names: Mapping[str, Sequence[str]] | None = None,
    percent: bool = False,
) -> Axes:
    """Draws named sets of networks, cost to the right (smaller is better) and quality upwards (larger is better).

    Args:
      axes: where to draw.
      series: for each name points [n, 2] of cost and quality, later ones on top; points that are not finite are left
        out.
      x_label, y_label: what the axes show.
      styles: how sets look, where `STYLES` does not say or should not.
      names: for some sets a text for each point.
      percent: whether quality is a share in [0, 1], to be written in percent.

    Returns:
      The Axes.

    Raises:
      ValueError: where points are not [n, 2], or names are not one for each point of a set in `series`.
    """
    check_axes("front", axes)
    check_flag("front", "percent", percent)
    sets = checked_sets("front", series)
    check_styles("front", styles)
    names = {} if names is None else names
    check_each_point("front", "names", names, sets)
    for index, (name, points) in enumerate(sets.items()):
        style = (styles or {}).get(name) or STYLES.get(name) or Style(COLORS[index % len(COLORS)])
        _draw_points(axes, name, points, style, z=3 + index)
        for (x, y), text in zip(points, names.get(name, ()), strict=False):
            if not np.isfinite([x, y]).all():
                continue
            axes.annotate(
                text,
                (x, y),
                (7, -3),
                textcoords="offset points",
                va="top",
                fontsize=8.5,
                color=style.color,
                path_effects=[_halo()],
                zorder=20,
            )
    _frame(axes, x_label, y_label)
    _units(axes, percent)
    _legend(axes)
    return axes


def hypervolume(axes: Axes, values: Mapping[str, np.ndarray], *, x_label: str = "generation") -> Axes:
    """Draws the hypervolume of named runs over generations.

    Args:
      axes: where to draw.
      values: for each name numbers [generations], or [seeds, generations], drawn as mean and range.
      x_label: what is counted to the right.

    Returns:
      The Axes.

    Raises:
      ValueError: where numbers have no such shape.
    """
    check_axes("hypervolume", axes)
    check_names("hypervolume", "values", values, "numbers")
    for index, (name, numbers) in enumerate(values.items()):
        numbers = np.atleast_2d(as_numbers("hypervolume", f"values[{name!r}]", numbers))
        if numbers.ndim != 2 or not numbers.size:
            raise ValueError(
                f"hypervolume: values[{name!r}] have shape {list(numbers.shape)}, "
                "expected [generations] or [seeds, generations]"
            )
        style = STYLES.get(name) or Style(COLORS[index % len(COLORS)])
        mean, steps = numbers.mean(axis=0), np.arange(1, numbers.shape[1] + 1)
        marker = "o" if len(steps) == 1 else None
        axes.plot(steps, mean, color=style.color, linewidth=2, marker=marker, label=name)
        if len(numbers) > 1:
            axes.fill_between(steps, numbers.min(0), numbers.max(0), color=style.color, alpha=0.15, linewidth=0)
    _frame(axes, x_label, "hypervolume")
    _legend(axes)
    return axes


def checked_sets(where: str, series: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the named sets as arrays [n, 2], or raises a ValueError in the name of the function `where`."""
    check_names(where, "series", series, "points [n, 2]")
    sets = {name: as_numbers(where, f"series[{name!r}]", points) for name, points in series.items()}
    for name, points in sets.items():
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(f"{where}: series[{name!r}] has shape {list(points.shape)}, expected points [n, 2]")
    return sets


def check_each_point(where: str, argument: str, given: Mapping[str, Sequence], sets: Mapping[str, np.ndarray]) -> None:
    """Raises a ValueError where an argument holds no thing for each point of a set in `sets`."""
    check_names(where, argument, given, "one thing for each point")
    for name, things in given.items():
        if not isinstance(things, Sequence | np.ndarray):
            raise TypeError(f"{where}: {argument}[{name!r}] is {things!r}, expected one for each point")
        if name not in sets or len(things) != len(sets[name]):
            raise ValueError(
                f"{where}: {argument}[{name!r}] holds {len(things)} {'texts' if argument == 'names' else argument}, "
                f"expected one for each point of a set in { ({name: len(points) for name, points in sets.items()}) }"
            )


def check_styles(where: str, styles: Any) -> None:
    """Raises TypeError, starting with `where`, unless the argument is None or a dictionary of `Style`s."""
    if styles is None:
        return
    check_names(where, "styles", styles, "Styles")
    for name, style in styles.items():
        if not isinstance(style, Style):
            raise TypeError(f"{where}: styles[{name!r}] is {style!r}, expected a plots.Style such as Style('red')")


def dominated_edge(points: np.ndarray) -> np.ndarray:
    """Returns the corners [n, 2] of the edge of what the points [n, 2] dominate, from cheap to dear."""
    points = points[np.lexsort((points[:, 1], points[:, 0]))]
    # Points chosen by another score may lie below the edge.
    return np.column_stack([points[:, 0], np.maximum.accumulate(points[:, 1])])


def _draw_points(axes: Axes, name: str, points: np.ndarray, style: Style, z: float) -> None:
    points = points[np.isfinite(points).all(axis=1)]
    look = {"color": style.color, "label": name, "zorder": z}
    edge = {"color": style.color, "zorder": z, "alpha": 0.7}
    marker = {
        "marker": style.marker,
        "markersize": style.size,
        "markerfacecolor": style.color if style.filled else PAPER,
        "markeredgecolor": PAPER if style.filled else style.color,
        "markeredgewidth": 0.8 if style.filled else 1.1,
        "alpha": style.alpha,
    }
    if style.line is None or len(points) < 2:
        axes.plot(*points.T, linestyle="none", **marker, **look)
        return
    if style.line == "path":
        axes.plot(*points.T, linewidth=1.6, **marker, **look)
        return
    axes.plot(*dominated_edge(points).T, drawstyle="steps-post", linewidth=1.6, **edge)
    axes.plot(*points.T, linestyle="none", **marker, **look)


def _frame(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(x_label, color=INK)
    axes.set_ylabel(y_label, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#E8EAED", linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(color=FAINT, labelcolor=INK)
    axes.margins(0.06)


def _units(axes: Axes, percent: bool) -> None:
    from matplotlib.ticker import EngFormatter, PercentFormatter

    if axes.get_xlim()[1] >= 1e4:
        axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))


def _halo():
    """Returns a white rim that keeps text legible where it crosses a line."""
    from matplotlib.patheffects import withStroke

    return withStroke(linewidth=2.5, foreground=PAPER)


def _legend(axes: Axes) -> None:
    # The corner of high cost and low quality is empty in every sensible front.
    axes.legend(loc="lower right", frameon=True, framealpha=0.9, edgecolor="none", fontsize=9)
