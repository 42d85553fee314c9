"""The elitist archive: all that nothing ever scored dominates, one genome for each vector of objectives.

a is the number of genomes in the archive, G that of genes, m that of objectives.
"""

from typing import NamedTuple

import numpy as np

from jaxevo.search.strategy import Scored


class Entry(NamedTuple):
    """What became of a genome that was shown to the archive.

    archive: the archive after it.
    dominated: whether a member dominates it, or it failed.
    new: whether it entered: nothing dominates it and no member has the same fitness.
    """

    archive: Scored
    dominated: bool
    new: bool


def enter(archive: Scored, genome: np.ndarray, fitness: np.ndarray) -> Entry:
    """Shows a scored genome to the archive.

    Of genomes with equal fitness the first stays. The archive has no limit; it is as large as the front.

    Args:
      archive: genomes [a, G] and fitness [a, m], none of which dominates another.
      genome: [G].
      fitness: [m], larger is better; NaN or infinity never enters.

    Returns:
      The archive with the genome, and without those that it dominates, or the archive as it was.

    Source: Luong, La Poutré, Bosman 2018, "Multi-objective Gene-pool Optimal Mixing Evolutionary Algorithm with the
    interleaved multi-start scheme"; without the adaptive grid that bounds it there.
    """
    if not np.isfinite(fitness).all():
        return Entry(archive, dominated=True, new=False)
    as_good = (archive.fitness >= fitness).all(axis=1)
    if as_good.any():
        equal = (archive.fitness[as_good] == fitness).all(axis=1)
        return Entry(archive, dominated=not equal.any(), new=False)
    kept = ~(archive.fitness <= fitness).all(axis=1)
    grown = Scored(
        np.concatenate([archive.genomes[kept], genome[None]]), np.concatenate([archive.fitness[kept], fitness[None]])
    )
    return Entry(grown, dominated=False, new=True)
