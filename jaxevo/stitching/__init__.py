"""Stitching: two trained networks of different architecture recombined into new ones (arXiv 2403.14224).

From two networks to a space that `jaxevo.search` can search:

    graphs = jaxevo.trace(a), jaxevo.trace(b)
    merged = stitching.stitch(key, *graphs, stitching.match(*graphs))
    merged, fits = stitching.fit(key, merged, data.train)
    space = stitching.switches(merged)
"""

from jaxevo.stitching.fitting import Fit, fit, similarity
from jaxevo.stitching.genomes import describe, switches, unstitched
from jaxevo.stitching.matching import Matching, Pair, candidates, match, weights
from jaxevo.stitching.stitches import Merged, Stitch, apply_stitch, stitch

__all__ = [
    "Fit",
    "Matching",
    "Merged",
    "Pair",
    "Stitch",
    "apply_stitch",
    "candidates",
    "describe",
    "fit",
    "match",
    "similarity",
    "stitch",
    "switches",
    "unstitched",
    "weights",
]
