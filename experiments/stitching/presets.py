"""What the presets of the stitching experiment do."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Parent:
    """A parent and how it is trained.

    family: its family in the zoo.
    sizes: its sizes.
    epochs, rate: of AdamW with a cosine schedule to 0.
    """

    family: str
    sizes: dict[str, Any]
    epochs: int
    rate: float


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of one run.

    data: name of the data set.
    parents: the two parents.
    batch: examples in a training step.
    most, price: of the matching, see `stitching.match`.
    probability: that a switch of a first genome takes the stitch.
    votes: weights of the first parent in the ensembles offered as outputs.
    population, generations: of NSGA-II.
    """

    data: str
    parents: tuple[Parent, Parent]
    batch: int
    most: int
    price: float
    votes: tuple[float, ...]
    probability: float
    population: int
    generations: int


#: The plain network is the cheaper parent, the residual one the more accurate; both halve the resolution at the same
#: places. Neither has depthwise convolutions, which are slow on CPUs.
PARENTS = (
    Parent("vgg", {"stem_stride": 2, "widths": (12, 24, 24), "depths": (2, 2, 1)}, epochs=18, rate=3e-3),
    Parent("resnet", {"widths": (16, 32, 64), "depths": (2, 2, 3)}, epochs=22, rate=3e-3),
)

PRESETS = {
    "quick": Settings(
        data="photos",
        parents=PARENTS,
        batch=64,
        most=10,
        price=0.0,
        votes=(0.25, 0.4, 0.5, 0.6, 0.75),
        probability=0.15,
        population=64,
        generations=30,
    ),
}
