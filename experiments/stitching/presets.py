"""What the presets of the stitching experiment do."""

import dataclasses
from typing import Any, Literal

from experiments.parents import Parent
from experiments.probing import Pretrained


@dataclasses.dataclass(frozen=True)
class Tuning:
    """How stitches are trained by gradient after the closed form, on the loss of drawn offspring.

    epochs, rate: of Adam with a cosine schedule to 0.
    probability: that a switch of a drawn offspring takes a stitch.
    """

    epochs: int
    rate: float
    probability: float


@dataclasses.dataclass(frozen=True)
class Retraining:
    """How the members of the front are retrained in the end, all their parameters but stored statistics.

    epochs, batch, rate: of AdamW.
    steps: at most so many in an epoch, None for all.
    anneal: whether the rate falls to 0, as a cosine; else it stays, as published.
    """

    epochs: int
    batch: int
    rate: float
    steps: int | None = None
    anneal: bool = False


@dataclasses.dataclass(frozen=True)
class Search:
    """A search of the space.

    strategy: "nsga2", GOMEA with its linkage: "gomea tree", "gomea kernels"; or "surrogate", which starts from the
      parents, their ensembles and all offspring with one stitch.
    population: of the strategy.
    """

    strategy: Literal["nsga2", "gomea tree", "gomea kernels", "surrogate"]
    population: int


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of one run.

    data: name of the data set.
    parents: the parents, at least two.
    batch: examples in a training step.
    most, price, across: of the matching, see `stitching.match`.
    votes: weights of the first of two parents in the ensembles offered as outputs.
    tuning: of the stitches, None to leave them as the closed form gives them.
    probability: that a switch of a first genome takes a stitch.
    search: the search that the front comes from.
    generations: of that search, at most.
    budget: distinct networks after which it ends, None for no limit.
    rivals: searches that get as many distinct networks as that one, to be compared with it; random search always is.
    fitness_examples: how many examples of valid the searches see; their fronts are scored on all of valid afterwards.
      None for all.
    retraining: of the front, None for none.
    objective: what is searched for beside few multiply-adds, "accuracy" or, for maps of classes, "mean_iou".
    export: write the front as ONNX files and compare them with onnxruntime.
    accelerate: score networks with convolutions rewritten for the platform.
    """

    data: str
    parents: tuple[Parent | Pretrained, ...]
    batch: int
    most: int | None
    price: float
    votes: tuple[float, ...]
    probability: float
    search: Search
    generations: int
    budget: int | None = None
    across: bool = False
    tuning: Tuning | None = None
    rivals: tuple[Search, ...] = ()
    fitness_examples: int | None = None
    retraining: Retraining | None = None
    objective: Literal["accuracy", "mean_iou"] = "accuracy"
    export: bool = False
    accelerate: bool = False


def settings_of(known: dict[str, Any]) -> Settings:
    """Returns the settings that a run wrote down as JSON, where other names may stand beside them."""
    found = {field.name: known[field.name] for field in dataclasses.fields(Settings)}
    kinds = (Pretrained if "pretrained" in parent else Parent for parent in found["parents"])
    found["parents"] = tuple(kind(**parent) for kind, parent in zip(kinds, found["parents"], strict=True))
    found["rivals"] = tuple(Search(**rival) for rival in found["rivals"])
    found["search"], found["votes"] = Search(**found["search"]), tuple(found["votes"])
    for name, kind in (("tuning", Tuning), ("retraining", Retraining)):
        found[name] = None if found[name] is None else kind(**found[name])
    return Settings(**found)


VOTES = (0.25, 0.4, 0.5, 0.6, 0.75)

#: The plain network is the cheaper parent, the residual one the more accurate; both halve the resolution at the same
#: places. Neither has depthwise convolutions, which are slow on CPUs.
PARENTS = (
    Parent("vgg", {"stem_stride": 2, "widths": (12, 24, 24), "depths": (2, 2, 1)}, epochs=18, rate=3e-3),
    Parent("resnet", {"widths": (16, 32, 64), "depths": (2, 2, 3)}, epochs=22, rate=3e-3),
)

_QUICK = Settings(
    data="photos",
    parents=PARENTS,
    batch=64,
    most=10,
    price=0.0,
    votes=VOTES,
    probability=0.15,
    search=Search("nsga2", 64),
    generations=30,
)

#: Deeper parents with more places to join them, stitches tuned on the loss of offspring, a longer search, and a front
#: retrained as published; the figures over seeds come from this one. Both parents are trained to their end: of parents
#: stopped early, retraining would show only that they had more to learn. The plain network is deeper than is good for
#: it (with 6 wider layers in its tail, rather than 12, it is better), which a residual tail can repair for less; the
#: residual one is the better and the dearer one. Where the plain network has the depth that suits it, cheaper offspring
#: come out as good as it is, and noise decides. The rate of retraining falls, since a constant one harmed the parents.
_SMALL = dataclasses.replace(
    _QUICK,
    data="photos:size=16,per_class=512",
    parents=(
        Parent("vgg", {"stem_stride": 1, "widths": (8, 20, 32), "depths": (1, 3, 12)}, epochs=14, rate=3e-3),
        Parent(
            "resnet",
            {"stem": 12, "stem_stride": 1, "widths": (12, 24, 24), "depths": (1, 3, 6)},
            epochs=20,
            rate=3e-3,
        ),
    ),
    most=None,
    tuning=Tuning(epochs=6, rate=3e-3, probability=0.1),
    # With some hundred networks a model of what was scored pays; with 400, chance has found all there is as well.
    search=Search("surrogate", 8),
    generations=200,
    budget=150,
    rivals=(Search("nsga2", 24),),
    retraining=Retraining(epochs=3, batch=64, rate=1e-3, anneal=True),
)

#: A convolutional network and a vision transformer, joined across maps and tokens.
_TOKENS = dataclasses.replace(
    _QUICK,
    data="digits",
    parents=(
        Parent("resnet", {"stem_stride": 1, "widths": (8, 16), "depths": (1, 1), "strides": (1, 2)}, 12, 5e-3),
        Parent("vit", {"patch": 2, "width": 32, "depth": 3, "heads": 4, "class_token": True}, epochs=30, rate=2e-3),
    ),
    across=True,
    most=None,
    votes=(0.5,),
    generations=10,
)

#: Three convolutional networks at once.
_THREE = dataclasses.replace(
    _QUICK,
    data="digits",
    parents=(
        Parent("vgg", {"widths": (8, 16), "depths": (1, 2)}, epochs=12, rate=5e-3),
        Parent("resnet", {"stem_stride": 1, "widths": (8, 16), "depths": (1, 1), "strides": (1, 2)}, 12, 5e-3),
        Parent("densenet", {"stem_stride": 1, "depths": (2, 2)}, epochs=12, rate=5e-3),
    ),
    most=3,
    votes=(0.5,),
    generations=10,
)

#: The settings that Guijt et al. published (arXiv 2403.14224): AdamW on agreement is replaced by the closed form, the
#: population of the genetic algorithm and the share of first stitches differ by experiment, GOMEA has 512 members.
_PAPER = Settings(
    data="tfds:imagenet2012",
    parents=(Parent("resnet152", {}, 300, 1e-3), Parent("efficientnet_b4", {}, 300, 1e-3)),
    batch=256,
    most=None,
    price=0.0,
    votes=(0.5,),
    probability=0.02,
    search=Search("nsga2", 256),
    generations=200_000,
    budget=200_000,
    rivals=(Search("gomea tree", 512), Search("gomea kernels", 512)),
    fitness_examples=1000,
    retraining=Retraining(epochs=1, batch=8, rate=1e-4, steps=1000),
)

#: Two segmenters whose features have one size throughout, on the class of every pixel of a digit.
_SEGMENTATION = dataclasses.replace(
    _QUICK,
    data="digits:pixels",
    parents=(
        Parent("deeplab_vgg_8px", {}, epochs=10, rate=5e-3),
        Parent("deeplab_resnet_8px", {}, epochs=10, rate=5e-3),
    ),
    most=None,
    votes=(0.5,),
    search=Search("nsga2", 32),
    generations=10,
    objective="mean_iou",
)

PRESETS = {
    "quick": _QUICK,
    "small": _SMALL,
    "tokens": _TOKENS,
    "three": _THREE,
    "segmentation": _SEGMENTATION,
    "paper": _PAPER,
    "paper-resnext": dataclasses.replace(
        _PAPER,
        parents=(Parent("resnet50", {}, 300, 1e-3), Parent("resnext50", {}, 300, 1e-3)),
        probability=0.015,
        search=Search("nsga2", 128),
    ),
    "paper-voc": dataclasses.replace(
        _PAPER,
        data="tfds:voc/2012",
        parents=(Parent("deeplabv3_resnet50", {}, 300, 1e-3), Parent("deeplabv3_mobilenet_v3_large", {}, 300, 1e-3)),
        probability=0.055,
        objective="mean_iou",
    ),
}

#: What `--parents` does by preset: networks with ImageNet weights on crops so small that both err on some. At 34 to 56
#: pixels EfficientNet-Lite0 is as good as Lite1 or better, and nothing could lie between them.
PRETRAINED = {
    "small": Settings(
        data="photos:size=32,span=64,per_class=192",
        parents=(),
        batch=32,
        most=10,
        price=0.0,
        votes=VOTES,
        probability=0.15,
        search=Search("nsga2", 24),
        generations=60,
        budget=200,
        export=True,
        accelerate=True,
    ),
}
