"""A call that is right for every public function; nothing here is run for what it returns."""

from collections.abc import Iterator

from tests.faults.calls.doors import doors
from tests.faults.calls.ensembles import ensembles
from tests.faults.calls.evaluations import evaluations, scores
from tests.faults.calls.examples import examples
from tests.faults.calls.graphs import graphs
from tests.faults.calls.making import Call
from tests.faults.calls.mixtures import mixtures
from tests.faults.calls.mutations import mutations
from tests.faults.calls.pictures import pictures
from tests.faults.calls.prunings import heads, prunings
from tests.faults.calls.searches import searches
from tests.faults.calls.stitches import stitches
from tests.faults.calls.trainings import trainings
from tests.faults.calls.transfers import transfers
from tests.faults.world import World

ROOMS = (
    doors,
    graphs,
    examples,
    evaluations,
    scores,
    searches,
    trainings,
    ensembles,
    pictures,
    stitches,
    mutations,
    mixtures,
    prunings,
    heads,
    transfers,
)


def calls(world: World) -> Iterator[Call]:
    """Yields the calls of all rooms."""
    for room in ROOMS:
        yield from room(world)
