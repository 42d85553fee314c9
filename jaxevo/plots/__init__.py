"""Pictures of results: fronts, hypervolume over generations, and networks as graphs (extra `plots`).

Functions draw on matplotlib Axes and return them; `canvas` and `canvas_for` make Axes without touching pyplot, so that
they work without a display: `plots.front(plots.canvas(), ...).figure.savefig("front.png")`.
"""

from jaxevo.plots.fronts import front, hypervolume
from jaxevo.plots.graphs import PlotEdge, PlotNode, canvas_for, layers
from jaxevo.plots.look import STYLES, Style, canvas

__all__ = ["STYLES", "PlotEdge", "PlotNode", "Style", "canvas", "canvas_for", "front", "hypervolume", "layers"]
