"""Stitching: trained networks of different architecture recombined into new ones (arXiv 2403.14224).

From two or more networks to a space that `jaxevo.search` can search:

    graphs = jaxevo.trace(a), jaxevo.trace(b)
    merged = stitching.stitch(key, stitching.match(*graphs))
    merged, fits = stitching.fit(key, merged, data.train)
    space = stitching.switches(merged)
"""

from jaxevo.stitching.drawing import draw, explore
from jaxevo.stitching.fitting import Fit, fit, similarity
from jaxevo.stitching.genomes import single_stitches, switches, unstitched
from jaxevo.stitching.joints import Pair, candidates, points, weights
from jaxevo.stitching.matching import Matching, match
from jaxevo.stitching.merging import Merged, stitch
from jaxevo.stitching.naming import describe
from jaxevo.stitching.stitches import Stitch, apply_stitch
from jaxevo.stitching.tuning import Objective, agreement, offspring_loss, tune

__all__ = [
    "Fit",
    "Matching",
    "Merged",
    "Objective",
    "Pair",
    "Stitch",
    "agreement",
    "apply_stitch",
    "candidates",
    "describe",
    "draw",
    "explore",
    "fit",
    "match",
    "offspring_loss",
    "points",
    "similarity",
    "single_stitches",
    "stitch",
    "switches",
    "tune",
    "unstitched",
    "weights",
]
