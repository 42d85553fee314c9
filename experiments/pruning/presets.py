"""What the presets of the pruning experiment do."""

import dataclasses
from typing import Literal

from experiments.parents import Parent
from experiments.probing import Pretrained


@dataclasses.dataclass(frozen=True)
class Trained:
    """A backbone that is trained here.

    network: which, and how long it trains.
    data: on what, pictures brought to the size of the run.
    batch: examples in a step.
    """

    network: Parent
    data: str
    batch: int


@dataclasses.dataclass(frozen=True)
class Published:
    """A backbone with the weights that torchvision published for ImageNet, as timm has them.

    architecture: its name there.
    """

    architecture: str


@dataclasses.dataclass(frozen=True)
class Training:
    """How each head is trained.

    rate, momentum: of SGD with Nesterov's momentum.
    batch: examples in a step.
    epochs: the most.
    patience: epochs without a lower loss on valid after which a head stops.
    """

    rate: float
    momentum: float
    batch: int
    epochs: int
    patience: int


@dataclasses.dataclass(frozen=True)
class Search:
    """The search for patterns.

    population: survivors of NSGA-II.
    offspring: heads per generation, 2 for the published steady state.
    evaluations: heads that each search trains.
    """

    population: int
    offspring: int
    evaluations: int


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of one run.

    data: name of the head's data set.
    held_out: how many of its classes, the last ones, are left out of training and are not of the distribution.
    other: name of another data set that is not of the distribution.
    backbone: whose features the head stands on.
    size: height and width of pictures in pixels.
    hidden: units of the head's hidden layers.
    prune: which units, see `pruning.neurons`.
    same_start: whether all heads begin with the same random parameters; as published, each draws its own.
    training, search: of the heads.
    temperature, epsilon: of ODIN.
    references: heads with all units, trained the same way, of which the mean is reported.
    bins: quantiles of accuracy whose members vote together.
    """

    data: str
    held_out: int
    other: str
    backbone: Trained | Pretrained | Published
    size: int
    hidden: tuple[int, ...]
    prune: Literal["hidden", "features", "all"]
    same_start: bool
    training: Training
    search: Search
    temperature: float = 1000.0
    epsilon: float = 0.0
    references: int = 5
    bins: int = 4


_RESNET = {"stem": 16, "stem_stride": 2, "widths": (32, 64, 128), "depths": (1, 1, 1), "strides": (1, 2, 2)}

#: Ends within five minutes on two cores. All heads begin with the same random parameters, so that a unit is the same in
#: every head and a search can learn which to keep. Where each head begins anew, hidden units are alike before they
#: train, and NSGA-II was level with chance.
_QUICK = Settings(
    data="mnist5k",
    held_out=3,
    other="photos:size=28,per_class=192",
    backbone=Trained(Parent("resnet", _RESNET, 10, 5e-3), "digits", 50),
    size=28,
    hidden=(512,),
    prune="hidden",
    same_start=True,
    training=Training(rate=1e-2, momentum=0.9, batch=32, epochs=60, patience=5),
    search=Search(population=30, offspring=2, evaluations=200),
)

#: The same with the published number of epochs and patience, more evaluations, and a backbone that trained longer.
_SMALL = dataclasses.replace(
    _QUICK,
    backbone=Trained(Parent("resnet", _RESNET, 30, 5e-3), "digits", 50),
    training=Training(rate=1e-2, momentum=0.9, batch=32, epochs=600, patience=10),
    search=Search(population=30, offspring=2, evaluations=400),
)

#: The published settings. Data: also "tfds:citrus_leaves", and folders for the other four sets.
_PAPER = dataclasses.replace(
    _SMALL,
    data="tfds:rock_paper_scissors",
    held_out=0,
    other="tfds:citrus_leaves,size=224",
    backbone=Published("resnet50.tv_in1k"),
    size=224,
    prune="features",
    same_start=False,
    training=Training(rate=1e-3, momentum=0.9, batch=32, epochs=600, patience=10),
    search=Search(population=30, offspring=2, evaluations=200),
)

PRESETS = {"quick": _QUICK, "small": _SMALL, "paper": _PAPER}

#: Height and width of pictures by preset for `--backbone`.
PRETRAINED_SIZES = {"quick": 64, "small": 128, "paper": 224}
