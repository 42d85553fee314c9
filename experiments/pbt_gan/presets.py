"""What the presets of the experiment do."""

import dataclasses
from typing import Any, Literal

from experiments.parents import Parent
from experiments.populations import METHODS, Population


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of one run.

    data: name of the data set; pictures are brought to `size` and to [-1, 1].
    size: height and width in pixels.
    cells: the published search space, or the one of chains.
    sizes: of the search space.
    classifier: whose features the distance is measured with.
    methods: names of those in `populations.METHODS`, all with the same budget.
    population: of each.
    steps: how often members are scored; between two of them the worst are replaced.
    epochs: that each member trains in a step.
    batch: pictures in a batch.
    rate, decays, epsilon: of AdamW.
    ratio, multiplier, average: see `training.adversarial`.
    samples: pictures that are drawn to measure a distance.
    last: steps at the end over whose mean methods are compared: distances of neighbouring steps scatter.
    examples: pictures of train that members and the classifier learn from, spread evenly over it; None for all.
    features: an ONNX file whose network's outputs measure the distance instead of the classifier's features.
    """

    data: str
    size: int
    cells: Literal["chains", "advnas"]
    sizes: dict[str, Any]
    classifier: Parent
    methods: tuple[str, ...]
    population: Population
    steps: int
    epochs: int
    batch: int
    rate: float
    samples: int
    decays: tuple[float, float] = (0.0, 0.9)
    epsilon: float = 1e-4
    ratio: int = 1
    multiplier: int = 1
    average: float = 0.99
    last: int = 3
    examples: int | None = None
    features: str | None = None


_CLASSIFIER = Parent(
    "resnet", {"stem": 16, "stem_stride": 1, "widths": (16, 32, 64), "depths": (1, 1, 1), "strides": (1, 2, 2)}, 8, 3e-3
)
_ALL = tuple(METHODS)

#: The mechanism and its pictures within five minutes on two cores.
_QUICK = Settings(
    data="mnist5k",
    size=16,
    cells="chains",
    sizes={"width": 16, "latents": 32},
    classifier=_CLASSIFIER,
    methods=("PBT-NAS", "random search"),
    population=Population(6),
    steps=5,
    epochs=1,
    batch=64,
    rate=1e-3,
    samples=1000,
)

#: All methods; ten steps of 80 batches.
_SMALL = dataclasses.replace(_QUICK, methods=_ALL, population=Population(8), steps=10, epochs=2, examples=40 * 64)

#: CIFAR-10 as published (arXiv 2307.15621 and its code, c10_pbtnas.yml): 24 members, 30 steps of 10 epochs, AdamW at
#: 2e-4 with decays 0 and 0.9, epsilon 1e-4 and no weight decay, 5 steps of the discriminator at a batch of 40 for one
#: of the generator at twice that, averages at 0.999, distances from 5,000 samples.
_PAPER = Settings(
    data="tfds:cifar10",
    size=32,
    cells="advnas",
    sizes={"width": 256, "discriminator_width": 128, "bottom": 4, "latents": 120},
    classifier=Parent("resnet", {"stem": 32, "stem_stride": 1, "widths": (32, 64, 128)}, 30, 2e-3),
    methods=_ALL,
    population=Population(24),
    steps=30,
    epochs=10,
    batch=200,
    rate=2e-4,
    samples=5000,
    ratio=5,
    multiplier=2,
    average=0.999,
)

#: STL-10 as published (stl_pbtnas.yml): 48x48 pictures and batches of 128.
_PAPER_STL = dataclasses.replace(
    _PAPER,
    data="tfds:stl10",
    size=48,
    sizes={"width": 270, "discriminator_width": 128, "bottom": 6, "latents": 120},
    batch=640,
)

PRESETS = {"quick": _QUICK, "small": _SMALL, "paper": _PAPER, "paper-stl10": _PAPER_STL}
