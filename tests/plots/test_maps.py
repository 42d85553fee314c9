"""Maps lie over their pictures."""

import numpy as np
import pytest

from jaxevo import plots


def test_a_map_lies_over_the_whole_picture_whatever_its_resolution():
    picture = np.random.default_rng(0).standard_normal((32, 48, 3))
    axes = plots.overlay(plots.canvas(), picture, np.eye(4), "unit 7")
    below, above = axes.images
    assert below.get_extent() == above.get_extent() == [0, 48, 32, 0]
    assert below.get_array().min() == 0
    assert below.get_array().max() == 1
    assert axes.get_title() == "unit 7"
    axes.figure.canvas.draw()


@pytest.mark.parametrize("shapes", [((8, 8, 2), (4, 4)), ((8, 8), (2, 4, 4)), ((8,), (4, 4))])
def test_arrays_of_another_shape_are_refused(shapes):
    with pytest.raises(ValueError, match=r"overlay: picture and heat have shapes .*, expected"):
        plots.overlay(plots.canvas(), *map(np.ones, shapes))


def test_a_grey_picture_and_an_empty_map_are_drawn():
    axes = plots.overlay(plots.canvas(), np.zeros((8, 8, 1)), np.zeros((2, 2)))
    axes.figure.canvas.draw()
