"""Pictures of results: fronts, hypervolume over generations, and networks as graphs (extra `plots`).

Functions draw on matplotlib Axes and return them; `canvas` and `canvas_for` make Axes without touching pyplot, so that
they work without a display: `plots.front(plots.canvas(), ...).figure.savefig("front.png")`. `explorable_front` makes a
page for notebooks and browsers instead, on which each point of a front shows its network (extra `notebook`).
"""

from jaxevo.plots.families import lineage
from jaxevo.plots.fronts import front, hypervolume
from jaxevo.plots.graphs import PlotEdge, PlotNode, canvas_for, layers
from jaxevo.plots.interactive import Page, explorable_front
from jaxevo.plots.look import STYLES, Style, canvas
from jaxevo.plots.maps import overlay

__all__ = [
    "STYLES",
    "Page",
    "PlotEdge",
    "PlotNode",
    "Style",
    "canvas",
    "canvas_for",
    "explorable_front",
    "front",
    "hypervolume",
    "layers",
    "lineage",
    "overlay",
]
