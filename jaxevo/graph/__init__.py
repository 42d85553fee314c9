"""Networks as graphs, on the host: traced, grouped into layers, cut into pieces, joined by switches, extracted."""

from jaxevo.graph.acceleration import accelerate, accelerated
from jaxevo.graph.cost import multiply_adds
from jaxevo.graph.division import divide, flows
from jaxevo.graph.drawing import draw
from jaxevo.graph.extraction import extract
from jaxevo.graph.features import Feature
from jaxevo.graph.folding import fold
from jaxevo.graph.grids import Grid
from jaxevo.graph.layers import Layer
from jaxevo.graph.linear import entry, merge_kernels, merged_layer, saving
from jaxevo.graph.normalisations import Normalisation, Statistic, batch_normalisations
from jaxevo.graph.pieces import Piece, piece
from jaxevo.graph.switches import Merge, Node, SwitchGraph
from jaxevo.graph.tracing import Cut, NetworkGraph, path_name, trace

__all__ = [
    "Cut",
    "Feature",
    "Grid",
    "Layer",
    "Merge",
    "NetworkGraph",
    "Node",
    "Normalisation",
    "Piece",
    "Statistic",
    "SwitchGraph",
    "accelerate",
    "accelerated",
    "batch_normalisations",
    "divide",
    "draw",
    "entry",
    "extract",
    "flows",
    "fold",
    "merge_kernels",
    "merged_layer",
    "multiply_adds",
    "path_name",
    "piece",
    "saving",
    "trace",
]
