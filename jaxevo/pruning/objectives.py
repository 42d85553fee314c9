"""`active_share`: how much of what may be pruned is active."""

import jax

from jaxevo.evaluation import Metric


def _share(space, genome):
    del space
    leaves = jax.tree.leaves(genome)
    return sum(leaf.sum() for leaf in leaves) / sum(leaf.size for leaf in leaves)


#: Share of a genome's bits that are active, in (0, 1]; in a fitness, write `-active_share`.
active_share = Metric("active_share", False, "genome", measure=_share)
