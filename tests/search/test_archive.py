import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from jaxevo.search import archive, pareto
from jaxevo.search.strategy import Scored

VALUES = st.sampled_from([0.0, 1.0, 2.0, 3.0, np.nan, np.inf, -np.inf])


def empty(objectives=2):
    return Scored(np.zeros((0, 1), int), np.zeros((0, objectives)))


@pytest.mark.smoke
@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(st.lists(st.tuples(VALUES, VALUES), max_size=20))
def test_the_archive_is_the_front_of_all_it_was_shown_without_copies(rows):
    found = empty()
    for index, row in enumerate(rows):
        before = {tuple(point) for point in found.fitness}
        found, dominated, new = archive.enter(found, np.array([index]), np.array(row))
        assert new == (not dominated and row not in before)
    fitness = np.array(rows).reshape(-1, 2)
    assert sorted(map(tuple, found.fitness)) == sorted({tuple(row) for row in fitness[pareto.front(fitness)]})
    for genome, point in zip(found.genomes, found.fitness, strict=True):
        assert rows.index(tuple(point)) == genome[0], "of equal fitness the first stays"
