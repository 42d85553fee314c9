"""Transfer: weights from one architecture to another, without data or training (arXiv 2212.13970).

ranking = transfer.rank(sources, target)
alignment = ranking[0].alignment
params, state = target.init(key)
params = transfer.copy_weights(alignment, ranking[0].network.params, params)
print(transfer.report(alignment))
"""

from jaxevo.transfer.alignment import Alignment, Pair, align, coverage, similarity
from jaxevo.transfer.baselines import bipartite, flat, random_match
from jaxevo.transfer.drawing import draw
from jaxevo.transfer.layers.structure import Blocks, Unit, blocks
from jaxevo.transfer.matching import Match, by_blocks
from jaxevo.transfer.ranking import Ranked, rank
from jaxevo.transfer.weights.copying import TransferWarning, copy_weights
from jaxevo.transfer.weights.reporting import Entry, Report, report
from jaxevo.transfer.weights.tensors import Transform, clip, magnitude, preserve

__all__ = [
    "Alignment",
    "Blocks",
    "Entry",
    "Match",
    "Pair",
    "Ranked",
    "Report",
    "TransferWarning",
    "Transform",
    "Unit",
    "align",
    "bipartite",
    "blocks",
    "by_blocks",
    "clip",
    "copy_weights",
    "coverage",
    "draw",
    "flat",
    "magnitude",
    "preserve",
    "random_match",
    "rank",
    "report",
    "similarity",
]
