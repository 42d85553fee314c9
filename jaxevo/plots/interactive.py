"""A front to explore: pointing at a network shows its picture beside the front, in a notebook or a browser."""

import base64
import dataclasses
import html
import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxevo.checks import check_flag
from jaxevo.plots.fronts import check_each_point, check_styles, checked_sets, dominated_edge
from jaxevo.plots.look import COLORS, FAINT, INK, PAPER, STITCH, STYLES, Axes, Style

#: Pixels of the front and of the panel beside it.
HEIGHT, PANEL_WIDTH = 480, 460

#: What bokeh calls the markers of matplotlib.
_MARKERS = {
    "o": "circle",
    "s": "square",
    "D": "diamond",
    "^": "triangle",
    "v": "inverted_triangle",
    "*": "star",
    "h": "hex",
    "x": "x",
    "+": "cross",
}

_HINT = "<i>Point at a network to see it here.</i>"

# The panel keeps what was shown last, so that one can scroll in it.
_SHOW = """
const [index] = cb_data.index.indices
if (index === undefined) return
const {x, y, shown} = cb_data.renderer.data_source.data
if (panel.text === shown[index]) return
panel.text = shown[index]
ring.data = {x: [x[index]], y: [y[index]]}
"""

_ENGINEERING = """
const step = Math.min(Math.max(Math.floor(Math.log10(Math.abs(tick) || 1) / 3), 0), 4)
return Number((tick / 1000 ** step).toPrecision(4)) + ["", " k", " M", " G", " T"][step]
"""


@dataclasses.dataclass(frozen=True)
class Page:
    """A web page that needs no network and no running kernel; the last line of a cell shows it.

    html: the whole page, its scripts and pictures within it.
    height: pixels that a notebook gives it.
    """

    html: str = dataclasses.field(repr=False)
    height: int

    def save(self, path: str | pathlib.Path) -> pathlib.Path:
        """Writes the page as one file and returns its path.

        Raises:
          OSError: where the file cannot be written.
        """
        path = pathlib.Path(path)
        path.write_text(self.html, encoding="utf-8")
        return path

    def _repr_html_(self) -> str:
        # A frame of its own keeps the page's scripts and looks apart from the notebook's.
        frame = f'width="100%" height="{self.height}" style="border: none"'
        return f'<iframe srcdoc="{html.escape(self.html)}" {frame}></iframe>'


def explorable_front(
    series: Mapping[str, np.ndarray],
    x_label: str,
    y_label: str,
    *,
    pictures: Mapping[str, Sequence[Axes]],
    names: Mapping[str, Sequence[str]] | None = None,
    styles: Mapping[str, Style] | None = None,
    percent: bool = False,
) -> Page:
    """Draws named sets of networks like `front`; pointing at one shows its picture, name, cost and quality.

    Args:
      series: for each name points [n, 2] of cost and quality, later ones on top; points that are not finite are left
        out, and so are their pictures.
      x_label, y_label: what the axes show.
      pictures: for some sets matplotlib Axes for each point, such as a system's `draw` returns.
      names: for some sets a text for each point, which may have several lines.
      styles: how sets look, where `STYLES` does not say or should not.
      percent: whether quality is a share in [0, 1], to be written in percent.

    Returns:
      A page that shows itself in a notebook and saves itself as one HTML file, which works offline.

    Raises:
      ValueError: where points are not [n, 2], pictures or names are not one for each point of a set in `series`, or a
        style has a marker that such a page cannot draw.
      TypeError: where a picture is not on a matplotlib figure.
      ImportError: where bokeh or matplotlib is not installed.
    """
    sets = checked_sets("explorable_front", series)
    check_styles("explorable_front", styles)
    check_flag("explorable_front", "percent", percent)
    names, chosen = (
        {} if names is None else names,
        {name: _style(styles or {}, name, index) for index, name in enumerate(sets)},
    )
    check_each_point("explorable_front", "pictures", pictures, sets)
    check_each_point("explorable_front", "names", names, sets)
    _check_pictures(pictures)
    _check_packages()
    from bokeh.embed import file_html
    from bokeh.layouts import row
    from bokeh.models import ColumnDataSource, CustomJS, Div, HoverTool
    from bokeh.resources import Resources

    panel = Div(text=_HINT, width=PANEL_WIDTH, height=HEIGHT, styles={"overflow": "auto"}, disable_math=True)
    finite = {name: np.flatnonzero(np.isfinite(points).all(axis=1)) for name, points in sets.items()}
    large = max((sets[name][kept, 0].max(initial=0) for name, kept in finite.items()), default=0) >= 1e4
    figure, drawn = _figure(x_label, y_label, percent, large), []
    for name, kept in finite.items():
        points = sets[name][kept]
        heads = [_head(name, point, x_label, y_label, percent, chosen[name]) for point in points]
        shown = [head + _body(names, pictures, name, index) for head, index in zip(heads, kept.tolist(), strict=True)]
        drawn.append(_draw_set(figure, name, points, shown, chosen[name]))
    ring = ColumnDataSource({"x": [], "y": []})
    figure.scatter("x", "y", source=ring, size=20, fill_color=None, line_color=STITCH, line_width=2.5)
    show = CustomJS(args={"panel": panel, "ring": ring}, code=_SHOW)
    figure.add_tools(HoverTool(renderers=drawn, tooltips=None, callback=show))
    _place_legend(figure)
    page = row(figure, panel, sizing_mode="stretch_width")
    text = file_html(page, Resources(mode="inline"), title="Front of networks", suppress_callback_warning=True)
    return Page(text, HEIGHT + 30)


def _style(styles: Mapping[str, Style], name: str, index: int) -> Style:
    style = styles.get(name) or STYLES.get(name) or Style(COLORS[index % len(COLORS)])
    if style.marker not in _MARKERS:
        raise ValueError(
            f"explorable_front: the style of {name!r} has marker {style.marker!r}, expected one of {list(_MARKERS)}; "
            "pass another in styles"
        )
    return style


def _check_pictures(pictures: Mapping[str, Sequence[Axes]]) -> None:
    for name, drawings in pictures.items():
        for index, axes in enumerate(drawings):
            if not hasattr(getattr(axes, "figure", None), "savefig"):
                raise TypeError(
                    f"explorable_front: pictures[{name!r}][{index}] is {type(axes).__name__}, expected matplotlib Axes "
                    "as plots.layers or a system's draw returns them"
                )


def _check_packages() -> None:
    try:
        import bokeh.plotting  # noqa: F401
        import matplotlib.colors  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'explorable_front needs bokeh and matplotlib; install them with pip install "jaxevo[notebook]"'
        ) from error


def _figure(x_label: str, y_label: str, percent: bool, large: bool) -> Any:
    """Returns an empty bokeh figure that looks like what `front` draws."""
    from bokeh.models import CustomJSTickFormatter, NumeralTickFormatter, PlainText
    from bokeh.plotting import figure

    # Plain text: a label between dollar signs would want a renderer of formulas.
    made = figure(
        height=HEIGHT,
        sizing_mode="stretch_width",
        tools="pan,wheel_zoom,box_zoom,reset,save",
        x_axis_label=PlainText(text=x_label),
        y_axis_label=PlainText(text=y_label),
        background_fill_color=PAPER,
        outline_line_color=None,
    )
    made.toolbar.logo = None
    made.grid.grid_line_color = "#E8EAED"
    made.axis.axis_line_color = made.axis.major_tick_line_color = FAINT
    made.axis.minor_tick_line_color = None
    made.axis.axis_label_text_color = made.axis.major_label_text_color = INK
    made.axis.axis_label_text_font_style = "normal"
    if large:
        made.xaxis.formatter = CustomJSTickFormatter(code=_ENGINEERING)
    if percent:
        made.yaxis.formatter = NumeralTickFormatter(format="0.[00]%")
    return made


def _draw_set(figure: Any, name: str, points: np.ndarray, shown: list[str], style: Style) -> Any:
    """Draws one set, each point of which holds what the panel shows for it, and returns bokeh's renderer."""
    from matplotlib.colors import to_hex

    color = to_hex(style.color)
    line = {"line_color": color, "line_width": 2, "legend_label": name}
    if style.line == "path" and len(points) > 1:
        figure.line(*points.T, **line)
    if style.line == "step" and len(points) > 1:
        figure.step(*dominated_edge(points).T, mode="after", line_alpha=0.7, **line)
    return figure.scatter(
        "x",
        "y",
        source={"x": points[:, 0], "y": points[:, 1], "shown": shown},
        marker=_MARKERS[style.marker],
        size=style.size * 4 / 3,  # from points to pixels
        fill_color=color if style.filled else PAPER,
        line_color=PAPER if style.filled and style.marker not in "x+" else color,
        alpha=style.alpha,
        legend_label=name,
    )


def _head(name: str, point: np.ndarray, x_label: str, y_label: str, percent: bool, style: Style) -> str:
    from matplotlib.colors import to_hex
    from matplotlib.ticker import EngFormatter

    cost = EngFormatter(sep=" ", places=2).format_eng(point[0]) if abs(point[0]) >= 1e4 else f"{point[0]:.5g}"
    quality = f"{point[1]:.2%}" if percent else f"{point[1]:.5g}"
    lines = [f"{x_label}: {cost}", f"{y_label}: {quality}"]
    title = f'<b style="color: {to_hex(style.color)}">{html.escape(name)}</b>'
    return "<br>".join([title, *map(html.escape, lines)])


def _body(names: Mapping, pictures: Mapping, name: str, index: int) -> str:
    """Returns name and picture of a point, each where there is one."""
    text = f'<div style="white-space: pre-line">{html.escape(str(names[name][index]))}</div>' if name in names else ""
    if name not in pictures:
        return text
    buffer = io.BytesIO()
    pictures[name][index].figure.savefig(buffer, format="png")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'{text}<img alt="its network" style="width: 100%" src="data:image/png;base64,{data}">'


def _place_legend(figure: Any) -> None:
    # The corner of high cost and low quality is empty in every sensible front.
    figure.legend.location = "bottom_right"
    figure.legend.click_policy = "hide"
    figure.legend.border_line_color = None
    figure.legend.background_fill_alpha = 0.9
