"""jaxevo: evolves networks that somebody has already trained.

    networks -> space -> evaluate -> run -> networks

Systems (`jaxevo.stitching`, `jaxevo.subspace`, `jaxevo.pbt`, `jaxevo.pruning`) build spaces, `jaxevo.transfer` fills
networks with the weights of others; `jaxevo.evaluation`, `jaxevo.search` and `jaxevo.training` are the engine they
stand on.
"""

from jaxevo import (
    checkpoint,
    data,
    ensemble,
    evaluation,
    graph,
    hosts,
    interop,
    pbt,
    plots,
    pruning,
    search,
    stitching,
    subspace,
    training,
    transfer,
)
from jaxevo.graph import NetworkGraph, trace
from jaxevo.interop import (
    from_equinox,
    from_flax,
    from_haiku,
    from_nnx,
    from_onnx,
    from_torch,
    to_equinox,
    to_flax,
    to_haiku,
    to_nnx,
    to_onnx,
    to_stablehlo,
    to_torch,
    trainable_from_equinox,
    trainable_from_flax,
    trainable_from_haiku,
    trainable_from_nnx,
)
from jaxevo.network import Convention, Member, Network, Trainable, spec
from jaxevo.search import Result, run
from jaxevo.space import Breeding, Child, Cost, Learning, Segment, Space, Step, Work
from jaxevo.training import as_trainable

__all__ = [
    "Breeding",
    "Child",
    "Convention",
    "Cost",
    "Learning",
    "Member",
    "Network",
    "NetworkGraph",
    "Result",
    "Segment",
    "Space",
    "Step",
    "Trainable",
    "Work",
    "as_trainable",
    "checkpoint",
    "data",
    "ensemble",
    "evaluation",
    "from_equinox",
    "from_flax",
    "from_haiku",
    "from_nnx",
    "from_onnx",
    "from_torch",
    "graph",
    "hosts",
    "interop",
    "pbt",
    "plots",
    "pruning",
    "run",
    "search",
    "spec",
    "stitching",
    "subspace",
    "to_equinox",
    "to_flax",
    "to_haiku",
    "to_nnx",
    "to_onnx",
    "to_stablehlo",
    "to_torch",
    "trace",
    "trainable_from_equinox",
    "trainable_from_flax",
    "trainable_from_haiku",
    "trainable_from_nnx",
    "training",
    "transfer",
]
