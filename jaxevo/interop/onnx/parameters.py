"""Which numbers of a file are parameters of the network, and which are settings that stay what they are.

A setting is what an operator must know before the network runs, such as the bounds of a clip or the scales of a resize,
with all that it is computed from. Of the other numbers, floating-point ones with an axis are learned, and so is a
single one, or one that the file computes from constants, where an operator reads a weight. Integers stay as they are;
an integer tensor that is large, such as a quantised weight, travels with the parameters all the same, so that no large
constant lies in the traced graph.
"""

from collections.abc import Container, Iterable

import numpy as np

from jaxevo.interop.onnx.dtypes import is_floating
from jaxevo.interop.onnx.graphs import Graph, Node

#: Bytes from which a tensor that is not learned travels with the parameters.
LARGE = 2**16

#: Inputs that must be known before the network runs.
SETTINGS: dict[str, tuple[int, ...]] = {
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "Clip": (1, 2),
    "Col2Im": (1, 2),
    "Compress": (1,),
    "ConstantOfShape": (0,),
    "CumProd": (1,),
    "CumSum": (1,),
    "DFT": (1, 2),
    "Dropout": (1, 2),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "If": (0,),
    "Loop": (0, 1),
    "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1, 2, 3, 4),
    "NonMaxSuppression": (2, 3, 4),
    "NonZero": (0,),
    "OneHot": (1,),
    "Pad": (1, 2, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "ReverseSequence": (1,),
    "STFT": (1, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Trilu": (1,),
    "Unique": (0,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
    **{
        f"Reduce{kind}": (1,)
        for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
    },
}

#: Inputs that are weights, be they single numbers.
WEIGHTS: dict[str, tuple[int, ...]] = {
    "BatchNormalization": (1, 2, 3, 4),
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (1, 2),
    "GroupNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "MatMul": (0, 1),
    "PRelu": (1,),
    "RMSNormalization": (1,),
}


def parameters(
    graph: Graph, learned: frozenset[str] | None = None, computed: Container[str] = frozenset()
) -> dict[str, np.ndarray]:
    """Returns the numbers of a graph, and of all graphs inside it, that are parameters, by name.

    Args:
      graph: the graph.
      learned: names of all that is learned, where they are known; by default what the module's description says.
      computed: names of constants that were computed at import, which are learned only where an operator reads weights.

    Raises:
      ValueError: where a parameter has the name of another tensor.
    """
    nodes = [node for part in graph.walk() for node in part.nodes]
    needed = settings(nodes)
    if learned is None:
        needed |= _exponents(graph)
    weights = {node.inputs[i] for node in nodes for i in WEIGHTS.get(node.operator, ()) if i < len(node.inputs)}
    found: dict[str, np.ndarray] = {}
    names: set[str] = set()
    for part in graph.walk():
        for name, value in (*part.initialisers.items(), *part.constants.items()):
            if learned is not None:
                ours = name in learned
            else:
                several = value.ndim > 0 if name in part.initialisers else value.size > 1
                ours = name in weights or (several and name not in computed)
            large = value.nbytes > LARGE and 0 not in value.strides
            ours = name not in needed and (large or (ours and is_floating(value.dtype)))
            if name in names and (ours or name in found):
                raise ValueError(f"from_onnx: two tensors are called {name!r}, one of them learned; rename one of them")
            names.add(name)
            if ours:
                found[name] = value
    return found


def _exponents(graph: Graph) -> set[str]:
    """Returns the names of whole and half exponents: part of a formula, with no gradient where a base is negative."""
    tensors = {
        name: value for part in graph.walk() for name, value in (*part.initialisers.items(), *part.constants.items())
    }
    nodes = (node for part in graph.walk() for node in part.nodes if node.operator == "Pow" and len(node.inputs) > 1)
    plain = (node.inputs[1] for node in nodes if tensors.get(node.inputs[1], np.zeros(0)).size == 1)
    return {name for name in plain if float(2 * tensors[name].reshape(())).is_integer()}


def settings(nodes: Iterable[Node]) -> set[str]:
    """Returns the names of all values that must be known before the network runs."""
    nodes = list(nodes)
    makers = {name: node for node in nodes for name in node.outputs if name}
    found: set[str] = set()
    ahead = [node.inputs[i] for node in nodes for i in SETTINGS.get(node.operator, ()) if i < len(node.inputs)]
    while ahead:
        name = ahead.pop()
        if not name or name in found:
            continue
        found.add(name)
        node = makers.get(name)
        if node is not None:
            # The shape and the type of a value are known, whatever the value is.
            ahead += {"Shape": (), "Size": (), "CastLike": node.inputs[:1]}.get(node.operator, node.reads())
    return found
