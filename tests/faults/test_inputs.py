"""Wrong inputs are refused by name before anything is compiled; `python -m tests.faults.inputs` tries more of them."""

import warnings

import pytest

from tests.faults.inputs import described, every, generated, tried, warm
from tests.faults.mistakes import MISTAKES
from tests.faults.world import World

WORLD = World()

#: Builders that draw a sample of the space, so that they can say what genomes are like, before they look at all else.
DRAWING = ("evosax", "evolution_strategy")


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_refused_and_its_message_says_what_it_was(mistake):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((TypeError, ValueError, FileNotFoundError)) as caught:
            mistake.make(WORLD)
    assert all(word in str(caught.value) for word in mistake.words)


def test_wrong_arguments_are_refused_by_name():
    # Some of the arguments of all functions, which the program tries whole.
    places = every(WORLD)[::4]
    warm(place for place in places if place[0].name in DRAWING)
    bad = [outcome for case in generated(places, len(places), 0) if (outcome := tried(case)).verdict != "refused"]
    assert not list(map(described, bad))
